#include "probe/label_reader.h"

#include <cmath>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr std::int64_t kMostRow = std::int64_t{1} << 53;

std::string quoted(std::string_view text) { return "\"" + printable(text, 40) + "\""; }

}  // namespace

Error LabelReader::bad(std::string what) const { return {ErrorCode::kInput, where_ + ": " + std::move(what)}; }

Result<bool> LabelReader::next_line(LineFile& lines) {
  LAYERSCOPE_ASSIGN(const bool found, lines.next());
  if (!found) return false;
  where_ = lines.where();
  line_ = lines.count();
  number_ = line_ - 1;
  LAYERSCOPE_TRY(lines.check());
  return true;
}

LabelValue LabelReader::text(std::string_view text) {
  const auto [known, added] = names_.try_emplace(std::string(text), static_cast<std::int32_t>(file_.texts_.size()));
  if (added) file_.texts_.emplace_back(text);
  return {.text = known->second};
}

Status LabelReader::add(const Row& row, LabelLevel level, RowLabels labels) {
  using Kind = LabelFile::Kind;
  for (const LabelValue& label : labels.labels) {
    if (label.none()) continue;
    const Kind kind = label.text >= 0 ? Kind::kTexts : Kind::kNumbers;
    if (file_.kind_ == Kind::kUnknown) file_.kind_ = kind;
    if (file_.kind_ != kind) return bad("labels are texts and numbers; write all of them as texts, or all as numbers");
  }
  if (!labels.labels.empty()) {
    if (labelled_ && file_.level_ != level)
      return bad("labels of rows, of tokens, of words and of spans cannot stand in one file");
    file_.level_ = level;
    labelled_ = true;
  }
  labels.line = line_;
  const std::size_t index = file_.rows_.size();
  const auto twice = [&](std::size_t other) {
    return bad("row " + (row.id ? *row.id : std::to_string(*row.number)) + " has its labels in line " +
               std::to_string(file_.rows_[other].line) + " already");
  };
  if (row.id) {
    const auto [known, added] = file_.by_id_.try_emplace(*row.id, index);
    if (!added) return twice(known->second);
  } else {
    const auto [known, added] = file_.by_number_.try_emplace(*row.number, index);
    if (!added) return twice(known->second);
  }
  file_.rows_.push_back(std::move(labels));
  return {};
}

Result<LabelValue> LabelReader::value(const Json& json) {
  if (json.is_null()) return LabelValue{};
  if (const std::string* const name = json.string()) return text(*name);
  if (const bool* const truth = json.boolean()) return text(*truth ? "true" : "false");
  if (const std::int64_t* const integer = json.integer()) return LabelValue{.number = static_cast<double>(*integer)};
  if (const double* const real = json.real(); real != nullptr && std::isfinite(*real))
    return LabelValue{.number = *real};
  return bad("a label is " + printable(json.dump(), 40) + ", expected a text, a number or null");
}

Status LabelReader::read_json(LineFile& lines) {
  while (true) {
    LAYERSCOPE_ASSIGN(const bool found, next_line(lines));
    if (!found) break;
    if (lines.blank()) continue;
    LAYERSCOPE_ASSIGN(const Json object, parse_json(lines.line(), where_, ErrorCode::kInput));
    if (object.object() == nullptr) return bad("is no JSON object");
    LAYERSCOPE_TRY(read_object(object));
  }
  if (found_) return {};
  return Error{ErrorCode::kUsage, file_.path_ + ": no line has " +
                                      (key_.empty() ? "a \"label\", \"labels\" or \"spans\" (--label-key names another)"
                                                    : "the key " + quoted(key_))};
}

Status LabelReader::read_object(const Json& object) {
  LAYERSCOPE_ASSIGN(const Row row, row_of(object));
  bool spans = false;
  LAYERSCOPE_ASSIGN(const Json* const found, labels_of(object, spans));
  if (found == nullptr) return {};
  found_ = true;
  RowLabels labels;
  LabelLevel level = LabelLevel::kRow;
  if (const Json* const group = object.find("group"); group != nullptr && !group->is_null()) {
    if (group->string() == nullptr && group->integer() == nullptr)
      return bad("\"group\" is neither a string nor an integer");
    labels.group = group->dump();
  }
  if (spans) {
    level = LabelLevel::kSpans;
    LAYERSCOPE_TRY(read_spans(*found, labels));
  } else {
    LAYERSCOPE_TRY(read_labels(*found, object.find("words"), labels, level));
  }
  return add(row, level, std::move(labels));
}

/// The value that holds the labels; null for a line that has none.
Result<const Json*> LabelReader::labels_of(const Json& object, bool& spans) {
  if (!key_.empty()) return object.find(key_);
  const Json* found = nullptr;
  for (const char* const key : {"label", "labels", "spans"}) {
    const Json* const here = object.find(key);
    if (here == nullptr) continue;
    if (found != nullptr) return bad("has more than one of \"label\", \"labels\" and \"spans\"");
    found = here;
    spans = std::string_view(key) == "spans";
  }
  return found;
}

Result<LabelReader::Row> LabelReader::row_of(const Json& object) const {
  Row row;
  if (const Json* const number = object.find("row")) {
    const std::int64_t* const value = number->integer();
    if (value == nullptr || *value < 0 || *value > kMostRow)
      return bad("\"row\" is " + printable(number->dump(), 40) + ", expected a row's number from 0");
    row.number = *value;
    return row;
  }
  if (const Json* const id = object.find("id")) {
    if (id->string() == nullptr && id->integer() == nullptr) return bad("\"id\" is neither a string nor an integer");
    row.id = id->dump();
    return row;
  }
  row.number = number_;
  return row;
}

Status LabelReader::read_labels(const Json& labels, const Json* words, RowLabels& into, LabelLevel& level) {
  if (labels.array() == nullptr) {
    if (labels.is_null()) return {};
    LAYERSCOPE_ASSIGN(const LabelValue one, value(labels));
    into.labels.push_back(one);
    return {};
  }
  level = LabelLevel::kTokens;
  for (const Json& label : *labels.array()) {
    LAYERSCOPE_ASSIGN(const LabelValue one, value(label));
    into.labels.push_back(one);
  }
  if (words == nullptr) return {};
  level = LabelLevel::kWords;
  if (words->array() == nullptr) return bad("\"words\" is no array");
  for (const Json& word : *words->array()) {
    if (word.string() == nullptr || word.string()->empty())
      return bad("\"words\" holds " + printable(word.dump(), 40) + ", expected words");
    into.words.push_back(*word.string());
  }
  if (into.words.size() == into.labels.size()) return {};
  return bad("has " + std::to_string(into.words.size()) + " words and " + std::to_string(into.labels.size()) +
             " labels");
}

Status LabelReader::read_spans(const Json& spans, RowLabels& into) {
  if (spans.is_null()) return {};
  if (spans.array() == nullptr) return bad("\"spans\" is no array");
  std::int64_t before = 0;
  for (const Json& span : *spans.array()) {
    const Json::Array* const parts = span.array();
    const std::int64_t* const start = parts != nullptr && parts->size() == 3 ? (*parts)[0].integer() : nullptr;
    const std::int64_t* const end = start != nullptr ? (*parts)[1].integer() : nullptr;
    if (end == nullptr) return bad("a span is " + printable(span.dump(), 40) + ", expected [start, end, label]");
    if (*start < before || *end <= *start) {
      return bad("the span [" + std::to_string(*start) + ", " + std::to_string(*end) +
                 "] does not lie behind the one before (spans ascend, do not overlap and are not empty)");
    }
    before = *end;
    LAYERSCOPE_ASSIGN(const LabelValue label, value((*parts)[2]));
    into.spans.emplace_back(*start, *end);
    into.labels.push_back(label);
  }
  return {};
}

}  // namespace layerscope
