#include "checkpoint/header_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr std::array<std::string_view, 8> kQuantisedDTypes{"F8_E4M3",     "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ",
                                                           "F8_E5M2FNUZ", "F6_E2M3", "F6_E3M2", "F4"};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string quoted(std::string_view text) { return "\"" + printable(text) + "\""; }

}  // namespace

Result<std::vector<TensorEntry>> HeaderReader::run() {
  std::vector<TensorEntry> entries;
  bool has_metadata = false;
  LAYERSCOPE_TRY(read_object("the header", [&](std::string&& key) -> Status {
    if (key != "__metadata__") return read_entry(std::move(key), entries);
    if (std::exchange(has_metadata, true)) return fail("the key \"__metadata__\" appears twice in the header");
    return read_metadata();
  }));
  skip_space();
  if (at_ != text_.size()) return malformed("nothing but padding after the header's end");
  std::vector<std::string_view> names;
  names.reserve(entries.size());
  for (const TensorEntry& entry : entries) names.emplace_back(entry.name);
  LAYERSCOPE_TRY(check_unique(std::move(names), "the header"));
  return entries;
}

Status HeaderReader::read_entry(std::string name, std::vector<TensorEntry>& entries) {
  if (entries.size() == kMaxTensorsInFile) {
    return fail("describes more than " + std::to_string(kMaxTensorsInFile) + " tensors");
  }
  name_bytes_ += name.size();
  if (name_bytes_ > kMaxNameBytesInFile) {
    return fail("has names of more than " + std::to_string(kMaxNameBytesInFile) + " bytes together");
  }
  tensor_ = name;
  TensorEntry entry;
  entry.name = std::move(name);
  std::array<bool, 3> seen{};
  constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};
  LAYERSCOPE_TRY(read_object("its entry", [&](const std::string& key) -> Status {
    const auto field = static_cast<std::size_t>(std::ranges::find(kFields, key) - kFields.begin());
    if (field == kFields.size()) {
      return fail("unknown key " + quoted(key) + " in its entry, expected dtype, shape and data_offsets");
    }
    if (std::exchange(seen[field], true)) return fail("the key \"" + key + "\" appears twice in its entry");
    if (field == 0) return read_dtype(entry);
    return field == 1 ? read_shape(entry) : read_offsets(entry);
  }));
  for (std::size_t field = 0; field < kFields.size(); ++field) {
    if (!seen[field]) return fail("its entry lacks " + std::string(kFields[field]));
  }
  entries.push_back(std::move(entry));
  tensor_.clear();
  return {};
}

Status HeaderReader::read_metadata() {
  std::vector<std::string> keys;
  Status read = read_object("__metadata__", [&](std::string&& key) -> Status {
    if (keys.size() == kMaxMetadataEntries) {
      return fail("__metadata__ has more than " + std::to_string(kMaxMetadataEntries) + " entries");
    }
    LAYERSCOPE_TRY(skip_string("a value of __metadata__"));
    keys.push_back(std::move(key));
    return {};
  });
  LAYERSCOPE_TRY(std::move(read));
  return check_unique({keys.begin(), keys.end()}, "__metadata__");
}

Status HeaderReader::read_dtype(TensorEntry& entry) {
  std::string name;
  LAYERSCOPE_TRY(read_string("dtype", name));
  if (const auto dtype = dtype_from_name(name)) {
    entry.dtype = *dtype;
    return {};
  }
  if (std::ranges::find(kQuantisedDTypes, name) != kQuantisedDTypes.end()) {
    return fail("dtype " + name + ": quantised checkpoints are not supported, expected F32, F16 or BF16 weights");
  }
  if (name == "C64") return fail("dtype C64: complex tensors are not supported");
  return fail("unknown dtype " + quoted(name));
}

Status HeaderReader::read_shape(TensorEntry& entry) {
  if (!take('[')) return malformed("shape as an array of integers");
  if (take(']')) return {};
  while (true) {
    std::uint64_t dim = 0;
    LAYERSCOPE_TRY(read_integer("shape", dim));
    if (dim > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return fail("shape overflows: dimension " + std::to_string(dim));
    }
    if (!entry.shape.push_back(static_cast<std::int64_t>(dim))) {
      return fail("shape has more than " + std::to_string(kMaxRank) + " dimensions");
    }
    if (take(']')) return {};
    if (!take(',')) return malformed("',' or ']' in shape");
  }
}

Status HeaderReader::read_offsets(TensorEntry& entry) {
  if (!take('[')) return malformed("data_offsets as [begin, end]");
  LAYERSCOPE_TRY(read_integer("data_offsets", entry.begin));
  if (!take(',')) return malformed("data_offsets as [begin, end]");
  LAYERSCOPE_TRY(read_integer("data_offsets", entry.end));
  if (!take(']')) return malformed("data_offsets as [begin, end]");
  return {};
}

template <class OnMember>
Status HeaderReader::read_object(std::string_view what, OnMember on_member) {
  if (!take('{')) return malformed("'{', as " + std::string(what) + " is an object");
  if (take('}')) return {};
  while (true) {
    std::string key;
    LAYERSCOPE_TRY(read_string("a key", key));
    if (!take(':')) return malformed("':' after a key");
    LAYERSCOPE_TRY(on_member(std::move(key)));
    if (take('}')) return {};
    if (!take(',')) return malformed("',' or '}'");
  }
}

Status HeaderReader::read_string(std::string_view what, std::string& out) {
  if (!take('"')) return malformed("a string as " + std::string(what));
  return read_characters(out, true);
}

Status HeaderReader::skip_string(std::string_view what) {
  if (!take('"')) return malformed("a string as " + std::string(what));
  std::string dropped;
  return read_characters(dropped, false);
}

Status HeaderReader::read_characters(std::string& out, bool keep) {
  const auto is_plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
  while (true) {
    const std::string_view rest = text_.substr(at_);
    const auto plain = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_plain) - rest.begin());
    if (keep && out.size() + plain > kMaxNameBytes) {
      return malformed("names of at most " + std::to_string(kMaxNameBytes) + " bytes");
    }
    at_ += plain;
    if (at_ == text_.size()) return malformed("the end of a string");
    if (keep) out.append(rest.substr(0, plain));
    if (text_[at_] == '"') {
      ++at_;
      return {};
    }
    if (text_[at_] != '\\') return malformed("no control character inside a string");
    ++at_;
    LAYERSCOPE_TRY(read_escape(out));
    if (!keep) out.clear();
  }
}

Status HeaderReader::read_escape(std::string& out) {
  constexpr std::string_view kEscapes = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ == text_.size()) return malformed("the end of an escape");
  if (const std::size_t escape = kEscapes.find(text_[at_]); escape != std::string_view::npos) {
    ++at_;
    out += kMeanings[escape];
    return {};
  }
  if (text_[at_] != 'u') return malformed("an escape that JSON knows");
  ++at_;
  char32_t code_point = 0;
  LAYERSCOPE_TRY(read_hex4(code_point));
  if (code_point >= 0xD800 && code_point <= 0xDFFF) {
    char32_t low = 0;
    if (code_point >= 0xDC00 || !text_.substr(at_).starts_with("\\u")) return malformed("a pair of surrogates");
    at_ += 2;
    LAYERSCOPE_TRY(read_hex4(low));
    if (low < 0xDC00 || low > 0xDFFF) return malformed("a pair of surrogates");
    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code_point);
  return {};
}

Status HeaderReader::read_hex4(char32_t& unit) {
  std::uint32_t value = 0;
  const std::string_view digits = text_.substr(at_, 4);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != 4 || error != std::errc() || end != digits.data() + 4) return malformed("four hex digits");
  at_ += 4;
  unit = value;
  return {};
}

Status HeaderReader::read_integer(std::string_view what, std::uint64_t& out) {
  skip_space();
  const std::string_view rest = text_.substr(at_);
  const auto digits = static_cast<std::size_t>(std::ranges::find_if_not(rest, is_digit) - rest.begin());
  const bool leading_zero = digits > 1 && rest.front() == '0';
  const bool goes_on = digits < rest.size() && std::string_view(".eE").find(rest[digits]) != std::string_view::npos;
  if (digits == 0 || leading_zero || goes_on) {
    return malformed("a non-negative integer without fraction or exponent in " + std::string(what));
  }
  if (std::from_chars(rest.data(), rest.data() + digits, out).ec != std::errc()) {
    return fail(std::string(what) + " overflows: " + printable(rest.substr(0, digits), 40) +
                " needs more than 64 bits");
  }
  at_ += digits;
  return {};
}

void HeaderReader::skip_space() noexcept {
  while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
    ++at_;
}

bool HeaderReader::take(char expected) noexcept {
  skip_space();
  if (at_ == text_.size() || text_[at_] != expected) return false;
  ++at_;
  return true;
}

Error HeaderReader::malformed(std::string_view expected) const {
  const std::string found = at_ < text_.size() ? quoted(text_.substr(at_, 12)) : "the end of the header";
  return fail("the header is malformed at byte " + std::to_string(at_) + ": expected " + std::string(expected) +
              ", found " + found);
}

Error HeaderReader::fail(const std::string& what) const {
  std::string message = printable(file_, 4096) + ": ";
  if (!tensor_.empty()) message += "tensor " + quoted(tensor_) + ": ";
  return {ErrorCode::kModel, message + what};
}

Status HeaderReader::check_unique(std::vector<std::string_view> keys, std::string_view what) const {
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  if (twice == keys.end()) return {};
  return fail("the key " + quoted(*twice) + " appears twice in " + std::string(what));
}

}  // namespace layerscope
