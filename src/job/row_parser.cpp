#include "job/row_parser.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/json.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr int kMaxDepth = 64;

/// A strict reader of RFC 8259. A member function returns false after noting what is wrong.
class LineReader {
 public:
  explicit LineReader(std::string_view line) : line_(line) {}

  bool row(InputRow& into) {
    if (!expect('{', "an object")) return false;
    if (peek() == '}') return ++at_, end();
    while (true) {
      std::string key;
      if (peek() != '"') return fail("expected a key in quotes");
      if (!string(key)) return false;
      if (std::find(keys_.begin(), keys_.end(), key) != keys_.end())
        return fail("the key \"" + printable(key) + "\" stands twice");
      if (!expect(':', "':' after a key") || !member(key, into)) return false;
      keys_.push_back(std::move(key));
      if (peek() != ',') break;
      ++at_;
    }
    return expect('}', "',' or '}'") && end();
  }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  bool fail(std::string what) {
    if (problem_.empty()) problem_ = std::move(what) + " (at byte " + std::to_string(at_) + " of the line)";
    return false;
  }
  /// The next character that is no space, or NUL at the end.
  char peek() {
    while (at_ < line_.size() && (line_[at_] == ' ' || line_[at_] == '\t' || line_[at_] == '\r' || line_[at_] == '\n'))
      ++at_;
    return at_ < line_.size() ? line_[at_] : '\0';
  }
  bool expect(char character, std::string_view what) {
    if (peek() != character || at_ >= line_.size()) return fail("is not valid JSON: expected " + std::string(what));
    ++at_;
    return true;
  }
  bool end() {
    peek();
    return at_ == line_.size() || fail("is not valid JSON: something follows the object");
  }

  bool member(const std::string& key, InputRow& into) {
    if (key == "text") return string_member(key, into.row.text);
    if (key == "pair") return string_member(key, into.row.pair);
    if (key == "target") return string_member(key, into.row.target);
    if (key == "ids") return integers(key, into.row.ids, std::numeric_limits<std::int32_t>::max());
    if (key == "decoder_ids") return integers(key, into.row.decoder_ids, std::numeric_limits<std::int32_t>::max());
    if (key == "type_ids") return integers(key, into.row.type_ids, std::numeric_limits<std::uint8_t>::max());
    if (key == "id") return identifier(into.id);
    if (key == "messages") return any_member(into.messages);
    return skip(1);
  }

  bool string_member(const std::string& key, std::optional<std::string>& into) {
    if (peek() != '"') return fail("\"" + key + "\" is no string");
    return string(into.emplace());
  }

  /// Any value, kept as it is written.
  bool any_member(std::optional<std::string>& into) {
    peek();
    const std::size_t begin = at_;
    if (!skip(1)) return false;
    into = std::string(line_.substr(begin, at_ - begin));
    return true;
  }

  bool identifier(std::optional<std::string>& into) {
    if (peek() == '"') {
      std::string text;
      if (!string(text)) return false;
      append_json_string(into.emplace(), text);
      return true;
    }
    const std::size_t begin = at_;
    bool integer = false;
    if (starts_number() && !number(integer)) return false;
    if (!integer) return fail("\"id\" is neither a string nor an integer");
    into = std::string(line_.substr(begin, at_ - begin));
    return true;
  }

  template <class T>
  bool integers(const std::string& key, std::optional<std::vector<T>>& into, std::int64_t largest) {
    if (peek() != '[') return fail("\"" + key + "\" is no array of integers");
    ++at_;
    std::vector<T>& values = into.emplace();
    if (peek() == ']') return ++at_, true;
    while (true) {
      bool integer = false;
      const bool number_next = starts_number();
      const std::size_t begin = at_;
      if (number_next && !number(integer)) return false;
      if (!integer) return fail("\"" + key + "\" holds something that is no integer");
      std::int64_t value = 0;
      for (const char digit : line_.substr(begin, at_ - begin)) {
        value = digit == '-' ? largest + 1 : value * 10 + (digit - '0');
        if (value > largest) {
          return fail("\"" + key + "\" holds " +
                      printable(line_.substr(begin, std::min<std::size_t>(at_ - begin, 40))) + ", expected 0 to " +
                      std::to_string(largest));
        }
      }
      values.push_back(static_cast<T>(value));
      if (peek() != ',') break;
      ++at_;
    }
    return expect(']', "',' or ']'");
  }

  bool starts_number() {
    const char first = peek();
    return first == '-' || (first >= '0' && first <= '9');
  }

  /// Passes over a number; `integer` if it has neither fraction nor exponent.
  bool number(bool& integer) {
    const auto digits = [&] {
      const std::size_t begin = at_;
      while (at_ < line_.size() && line_[at_] >= '0' && line_[at_] <= '9') ++at_;
      return at_ - begin;
    };
    const auto next = [&](std::string_view any) {
      return at_ < line_.size() && any.find(line_[at_]) != std::string_view::npos;
    };
    integer = true;
    if (next("-")) ++at_;
    const bool zero = next("0");
    const std::size_t count = digits();
    if (count == 0 || (zero && count > 1)) return fail("is not valid JSON: a bad number");
    if (next(".")) {
      integer = false;
      ++at_;
      if (digits() == 0) return fail("is not valid JSON: a bad number");
    }
    if (next("eE")) {
      integer = false;
      ++at_;
      if (next("+-")) ++at_;
      if (digits() == 0) return fail("is not valid JSON: a bad number");
    }
    return true;
  }

  bool string(std::string& into) {
    ++at_;
    while (true) {
      const std::size_t begin = at_;
      while (at_ < line_.size() && line_[at_] != '"' && line_[at_] != '\\' &&
             static_cast<unsigned char>(line_[at_]) >= 0x20)
        ++at_;
      into.append(line_.substr(begin, at_ - begin));
      if (at_ == line_.size()) return fail("is not valid JSON: a string does not end");
      if (line_[at_] == '"') return ++at_, true;
      if (line_[at_] != '\\') return fail("is not valid JSON: a control character in a string");
      ++at_;
      if (!escape(into)) return false;
    }
  }

  bool escape(std::string& into) {
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ == line_.size()) return fail("is not valid JSON: a string does not end");
    const char letter = line_[at_++];
    if (const std::size_t index = kLetters.find(letter); index != std::string_view::npos) {
      into += kMeanings[index];
      return true;
    }
    std::uint32_t unit = 0;
    if (letter != 'u' || !hex(unit)) return fail("is not valid JSON: a bad escape in a string");
    char32_t code_point = unit;
    if (unit >= 0xD800 && unit < 0xE000) {
      std::uint32_t low = 0;
      if (unit >= 0xDC00 || line_.substr(at_, 2) != "\\u")
        return fail("is not valid JSON: half a surrogate pair in a string");
      at_ += 2;
      if (!hex(low) || low < 0xDC00 || low >= 0xE000)
        return fail("is not valid JSON: half a surrogate pair in a string");
      code_point = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(into, code_point);
    return true;
  }

  bool hex(std::uint32_t& unit) {
    if (line_.size() - at_ < 4) return false;
    for (int digit = 0; digit < 4; ++digit) {
      const char character = line_[at_++];
      const std::size_t value =
          std::string_view("0123456789abcdef")
              .find(character >= 'A' && character <= 'F' ? static_cast<char>(character + 32) : character);
      if (value == std::string_view::npos) return false;
      unit = unit << 4 | static_cast<std::uint32_t>(value);
    }
    return true;
  }

  /// Passes over any value.
  bool skip(int depth) {
    if (depth > kMaxDepth) return fail("is nested more than " + std::to_string(kMaxDepth) + " deep");
    const char first = peek();
    if (first == '"') {
      std::string ignored;
      return string(ignored);
    }
    if (first == '{' || first == '[') return skip_nested(first == '{', depth);
    for (const std::string_view word : {"true", "false", "null"}) {
      if (line_.substr(at_, word.size()) == word) return at_ += word.size(), true;
    }
    bool integer = false;
    return number(integer);
  }

  bool skip_nested(bool object, int depth) {
    const char close = object ? '}' : ']';
    ++at_;
    if (peek() == close) return ++at_, true;
    while (true) {
      if (object) {
        std::string key;
        if (peek() != '"') return fail("is not valid JSON: expected a key in quotes");
        if (!string(key) || !expect(':', "':' after a key")) return false;
      }
      if (!skip(depth + 1)) return false;
      if (peek() != ',') break;
      ++at_;
    }
    return expect(close, object ? "',' or '}'" : "',' or ']'");
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::vector<std::string> keys_;
  std::string problem_;
};

/// Keys that contradict each other, or that lack their partner.
const char* contradiction(const TextRow& row, bool messages) {
  if (messages && row.ids) return "has both \"messages\" and \"ids\"";
  if (messages) return nullptr;
  if (!row.text && !row.ids) return "has neither \"text\" nor \"ids\"";
  if (row.text && row.ids) return "has both \"text\" and \"ids\"";
  if (row.pair && !row.text) return "has \"pair\" without \"text\"";
  if (row.type_ids && !row.ids) return "has \"type_ids\" without \"ids\"";
  if (row.type_ids && row.type_ids->size() != row.ids->size()) return "has not as many \"type_ids\" as \"ids\"";
  if (row.decoder_ids && row.target) return "has both \"decoder_ids\" and \"target\"";
  return nullptr;
}

}  // namespace

Status parse_json_row(std::string_view line, const std::string& where, InputRow& into) {
  LineReader reader(line);
  if (!reader.row(into)) return Error{ErrorCode::kInput, where + ": " + reader.problem()};
  if (const char* problem = contradiction(into.row, into.messages.has_value() && !into.row.text))
    return Error{ErrorCode::kInput, where + ": " + problem};
  return {};
}

}  // namespace layerscope
