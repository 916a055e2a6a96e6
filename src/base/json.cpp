#include "base/json.h"

#define SIMDJSON_EXCEPTIONS 0  // no conversion of its results that throws, so that none is used by mistake
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/file.h"
#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

namespace ondemand = simdjson::ondemand;

const char* describe(simdjson::error_code error) noexcept {
  switch (error) {
    case simdjson::MEMALLOC: return "not enough memory to parse it";
    case simdjson::NUMBER_ERROR: return "not JSON: a malformed number, or one out of range";
    case simdjson::STRING_ERROR: return "not JSON: a bad escape inside a string";
    case simdjson::UNCLOSED_STRING: return "not JSON: a string without end";
    case simdjson::UNESCAPED_CHARS: return "not JSON: a control character inside a string";
    default: return "not JSON: a value, comma, colon or bracket is missing or out of place";
  }
}

/// Walks a document once, strictly. The text is parsed as the only element of an array, so that a scalar at the top and
/// trailing content need no rules of their own.
class Reader {
 public:
  Reader(std::string_view text, std::string_view name, ErrorCode code, JsonLimits limits)
      : text_(text), name_(name), code_(code), limits_(limits) {}

  Result<Json> run() {
    std::string wrapped;
    wrapped.reserve(text_.size() + 2 + simdjson::SIMDJSON_PADDING);
    wrapped.append("[").append(text_).append("]").append(simdjson::SIMDJSON_PADDING, ' ');
    buffer_ = wrapped.data();
    ondemand::parser parser;
    ondemand::document document;
    const simdjson::padded_string_view view(wrapped.data(), text_.size() + 2, wrapped.size());
    if (const auto error = parser.iterate(view).get(document)) return fail(describe(error));
    ondemand::array top;
    if (const auto error = document.get_array().get(top)) return fail(describe(error));
    Json result;
    std::size_t count = 0;
    for (auto element : top) {
      ondemand::value value;
      if (const auto error = element.get(value)) return fail(count == 0 ? "not JSON: empty" : describe(error));
      if (++count > 1) return fail("not JSON: more text after the end of the value");
      LAYERSCOPE_ASSIGN(result, read(value, 0));
    }
    if (count == 0) return fail("not JSON: empty");
    if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
      return fail("not JSON: more text after the end of the value");
    }
    return result;
  }

 private:
  Error fail(const std::string& what) const {
    std::string message = printable(name_, 4096) + ": " + what;
    if (seen_ > 0) {
      const std::string_view before = text_.substr(0, seen_ - 1);
      const auto line = std::count(before.begin(), before.end(), '\n') + 1;
      const std::size_t newline = before.rfind('\n');
      const std::size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
      message += " (near line " + std::to_string(line) + ", column " + std::to_string(column) + ")";
    }
    return {code_, std::move(message)};
  }

  void visit(const char* where) { seen_ = std::min(static_cast<std::size_t>(where - buffer_), text_.size()); }

  Result<Json> read(ondemand::value value, std::size_t depth) {
    std::string_view token = value.raw_json_token();
    visit(token.data());
    token = token.substr(0, token.find_last_not_of(" \t\n\r") + 1);
    switch (token.empty() ? '\0' : token.front()) {
      case '{': return read_object(value, depth + 1);
      case '[': return read_array(value, depth + 1);
      case '"': return read_string(value);
      case 't':
      case 'f':
      case 'n': return read_word(value, token);
      default: return read_number(value, token);
    }
  }

  Result<Json> read_object(ondemand::value value, std::size_t depth) {
    if (depth > limits_.max_depth) return too_deep();
    ondemand::object object;
    if (const auto error = value.get_object().get(object)) return fail(describe(error));
    Json::Object members;
    for (auto item : object) {
      ondemand::field field;
      if (const auto error = std::move(item).get(field)) return fail(describe(error));
      visit(field.key().raw() - 1);
      std::string_view key;
      if (const auto error = field.unescaped_key().get(key)) return fail(describe(error));
      std::string name(key);
      LAYERSCOPE_ASSIGN(Json member, read(field.value(), depth));
      members.emplace_back(std::move(name), std::move(member));
    }
    LAYERSCOPE_TRY(check_unique(members));
    return Json(std::move(members));
  }

  Status check_unique(const Json::Object& members) const {
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const auto& [key, value] : members) keys.emplace_back(key);
    std::ranges::sort(keys);
    const auto twice = std::ranges::adjacent_find(keys);
    if (twice == keys.end()) return {};
    return fail("the key \"" + printable(*twice) + "\" appears twice in one object");
  }

  Result<Json> read_array(ondemand::value value, std::size_t depth) {
    if (depth > limits_.max_depth) return too_deep();
    ondemand::array array;
    if (const auto error = value.get_array().get(array)) return fail(describe(error));
    Json::Array elements;
    for (auto item : array) {
      ondemand::value element;
      if (const auto error = item.get(element)) return fail(describe(error));
      LAYERSCOPE_ASSIGN(Json read_element, read(element, depth));
      elements.push_back(std::move(read_element));
    }
    return Json(std::move(elements));
  }

  Result<Json> read_string(ondemand::value value) const {
    std::string_view text;
    if (const auto error = value.get_string().get(text)) return fail(describe(error));
    return Json(std::string(text));
  }

  Result<Json> read_word(ondemand::value value, std::string_view token) const {
    bool truth = false;
    if (token == "null") {
      if (const auto error = value.is_null().get(truth)) return fail(describe(error));
      return truth ? Result<Json>(Json()) : fail(describe(simdjson::N_ATOM_ERROR));
    }
    if (const auto error = value.get_bool().get(truth)) return fail(describe(error));
    return Json(truth);
  }

  Result<Json> read_number(ondemand::value value, std::string_view token) const {
    std::int64_t integer = 0;
    const bool written_as_integer = token.find_first_of(".eE") == std::string_view::npos;
    if (written_as_integer && value.get_int64().get(integer) == simdjson::SUCCESS) return Json(integer);
    double real = 0;
    if (const auto error = value.get_double().get(real)) return fail(describe(error));
    return Json(real);
  }

  Error too_deep() const { return fail("nested more than " + std::to_string(limits_.max_depth) + " levels deep"); }

  std::string_view text_;
  std::string_view name_;
  ErrorCode code_;
  JsonLimits limits_;
  const char* buffer_ = nullptr;
  std::size_t seen_ = 0;  // offset of the token read last in the wrapped text; 0 before the first
};

Error too_large(std::string_view name, ErrorCode code, std::uint64_t size, std::size_t limit) {
  return {code, printable(name, 4096) + ": has " + std::to_string(size) + " bytes of JSON, at most " +
                    std::to_string(limit) + " are read"};
}

template <class Float>
void append_float(std::string& out, Float value) {
  if (value == 0) {
    out += std::signbit(value) ? "-0.0" : "0";
    return;
  }
  std::array<char, 64> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_value(std::string& out, const Json& value) {
  if (const bool* truth = value.boolean()) {
    out += *truth ? "true" : "false";
  } else if (const std::int64_t* integer = value.integer()) {
    append_json_number(out, *integer);
  } else if (const double* real = value.real()) {
    const std::size_t start = out.size();
    append_json_number(out, *real);
    if (out.find_first_of(".e", start) == std::string::npos) out += ".0";  // stays a real when read back
  } else if (const std::string* text = value.string()) {
    append_json_string(out, *text);
  } else if (const Json::Array* array = value.array()) {
    out += '[';
    for (std::size_t i = 0; i < array->size(); ++i) {
      if (i > 0) out += ',';
      append_value(out, (*array)[i]);
    }
    out += ']';
  } else if (const Json::Object* object = value.object()) {
    out += '{';
    for (std::size_t i = 0; i < object->size(); ++i) {
      if (i > 0) out += ',';
      append_json_string(out, (*object)[i].first);
      out += ':';
      append_value(out, (*object)[i].second);
    }
    out += '}';
  } else {
    out += "null";
  }
}

}  // namespace

const Json* Json::find(std::string_view key) const noexcept {
  const Object* const members = object();
  if (members == nullptr) return nullptr;
  for (const auto& [name, value] : *members) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string Json::dump() const {
  std::string out;
  append_value(out, *this);
  return out;
}

Result<Json> parse_json(std::string_view text, std::string_view name, ErrorCode code, JsonLimits limits) {
  if (text.size() > limits.max_bytes) return too_large(name, code, text.size(), limits.max_bytes);
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid != std::string_view::npos) {
    return Error{code, printable(name, 4096) + ": not UTF-8 (byte " + std::to_string(invalid) + ")"};
  }
  return Reader(text, name, code, limits).run();
}

Result<Json> read_json_file(const std::string& path, ErrorCode code, JsonLimits limits) {
  LAYERSCOPE_ASSIGN(const std::string text, read_file(path, code, limits.max_bytes));
  return parse_json(text, path, code, limits);
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t start = offset;
    const char32_t code_point = next_code_point(text, offset);
    switch (code_point) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case kInvalidCodePoint: append_utf8(out, 0xFFFD); break;
      default:
        if (code_point < 0x20 || code_point == 0x7F) {
          out.append("\\u00").push_back(kHex[code_point >> 4]);
          out.push_back(kHex[code_point & 0xF]);
        } else {
          out.append(text.substr(start, offset - start));
        }
    }
  }
  out += '"';
}

void append_json_number(std::string& out, float value) { append_float(out, value); }
void append_json_number(std::string& out, double value) { append_float(out, value); }
void append_json_number(std::string& out, std::int64_t value) { out += std::to_string(value); }

}  // namespace layerscope
