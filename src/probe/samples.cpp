#include "probe/samples.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "base/json.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostWholeNumbers = 20;  // that are taken for classes unasked

std::string number_text(double number) {
  std::string text;
  if (std::abs(number) < 1e15 && number == std::trunc(number)) {
    append_json_number(text, static_cast<std::int64_t>(number));
  } else {
    append_json_number(text, number);
  }
  return text;
}

bool few_whole_numbers(const std::vector<LabelValue>& values) {
  std::set<double> different;
  for (const LabelValue& value : values) {
    different.insert(value.number);
    if (value.number != std::trunc(value.number) || different.size() > kMostWholeNumbers) return false;
  }
  return true;
}

}  // namespace

ProbeLabels ProbeSamples::labels() const noexcept {
  return {.classes = classes,
          .class_count = static_cast<std::int32_t>(class_names.size()),
          .targets = targets,
          .groups = groups,
          .types = types};
}

Result<const RowLabels*> SampleCollector::wanted(std::int64_t number, const std::optional<std::string>& id) {
  LAYERSCOPE_ASSIGN(const RowLabels* const row, labels_.find(number, id));
  if (row == nullptr) return row;
  ++matched_;
  const bool any = std::ranges::any_of(row->labels, [](const LabelValue& label) { return !label.none(); });
  return any ? row : nullptr;
}

Result<std::vector<SampleTokens>> SampleCollector::add(std::int64_t number, const RowLabels& row,
                                                       const LabelledTokens& tokens) {
  std::vector<SampleTokens> places;
  const std::int64_t group = group_of(number, row);
  if (labels_.level() == LabelLevel::kRow) {
    values_.push_back(row.labels.front());
    samples_.groups.push_back(group);
    samples_.types.push_back(number);
    places.push_back({0, static_cast<std::int64_t>(tokens.ids.size())});
    ++samples_.rows;
    return places;
  }
  Result<LabelAlignment> aligned = align_labels(row, labels_.level(), tokens);
  if (!aligned) return Error{aligned.error().code, labels_.where(row) + ": " + aligned.error().message};
  samples_.without_token += aligned->without_token;
  for (const TokenLabel& label : aligned->labels) {
    values_.push_back(label.label);
    samples_.groups.push_back(group);
    samples_.types.push_back(types_.try_emplace(label.type, static_cast<std::int64_t>(types_.size())).first->second);
    places.push_back({label.first, label.count});
  }
  if (!places.empty()) ++samples_.rows;
  return places;
}

// Groups that are named count upwards, rows that are their own downwards.
std::int64_t SampleCollector::group_of(std::int64_t number, const RowLabels& row) {
  if (!row.group) return -1 - number;
  return groups_.try_emplace(*row.group, static_cast<std::int64_t>(groups_.size())).first->second;
}

Result<ProbeSamples> SampleCollector::finish(std::optional<ProbeKind> kind) && {
  samples_.unmatched = static_cast<std::int64_t>(labels_.rows() - matched_);
  if (values_.empty()) {
    return Error{ErrorCode::kUsage, labels_.path() + ": labels nothing of the input (" +
                                        std::to_string(labels_.rows()) + " labelled rows, " + std::to_string(matched_) +
                                        " of them in the input)"};
  }
  if (!labels_.numbers() && kind == ProbeKind::kRegress)
    return Error{ErrorCode::kUsage, labels_.path() + ": its labels are texts, a regression needs numbers"};
  if (!kind) kind = !labels_.numbers() || few_whole_numbers(values_) ? ProbeKind::kClassify : ProbeKind::kRegress;
  samples_.kind = *kind;
  if (*kind == ProbeKind::kClassify) {
    LAYERSCOPE_TRY(name_classes(samples_));
  } else {
    for (const LabelValue& value : values_) samples_.targets.push_back(value.number);
  }
  return std::move(samples_);
}

Status SampleCollector::name_classes(ProbeSamples& into) const {
  const auto count_error = [&](std::size_t count) {
    return Error{ErrorCode::kUsage, labels_.path() + ": has " + std::to_string(count) +
                                        " different labels, a probe takes at most " +
                                        std::to_string(kMostProbeClasses) + " classes" +
                                        (labels_.numbers() ? " (--task regress takes numbers)" : "")};
  };
  if (labels_.numbers()) {
    std::vector<double> known;
    for (const LabelValue& value : values_) known.push_back(value.number);
    std::ranges::sort(known);
    known.erase(std::unique(known.begin(), known.end()), known.end());
    if (std::cmp_greater(known.size(), kMostProbeClasses)) return count_error(known.size());
    for (const double number : known) into.class_names.push_back(number_text(number));
    for (const LabelValue& value : values_)
      into.classes.push_back(static_cast<std::int32_t>(std::ranges::lower_bound(known, value.number) - known.begin()));
    return {};
  }
  std::vector<std::int32_t> index(labels_.texts().size(), -1);  // by text
  for (const LabelValue& value : values_) index[static_cast<std::size_t>(value.text)] = 0;
  std::vector<std::int32_t> used;
  for (std::size_t text = 0; text < index.size(); ++text) {
    if (index[text] == 0) used.push_back(static_cast<std::int32_t>(text));
  }
  if (std::cmp_greater(used.size(), kMostProbeClasses)) return count_error(used.size());
  std::ranges::sort(used, {}, [&](std::int32_t text) { return labels_.texts()[static_cast<std::size_t>(text)]; });
  for (std::size_t k = 0; k < used.size(); ++k) {
    index[static_cast<std::size_t>(used[k])] = static_cast<std::int32_t>(k);
    into.class_names.push_back(labels_.texts()[static_cast<std::size_t>(used[k])]);
  }
  for (const LabelValue& value : values_) into.classes.push_back(index[static_cast<std::size_t>(value.text)]);
  return {};
}

}  // namespace layerscope
