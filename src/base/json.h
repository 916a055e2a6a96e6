// JSON from untrusted sources, read strictly, and JSON written for people and programs.
//
// Parsing is simdjson's; this face adds what a strict reader needs: a depth and size limit, refusal of duplicate keys
// at every level, and errors that name the file and where in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// One JSON value. Objects keep the order of the file; keys are unique.
class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;  // null
  template <class T>
  explicit Json(T value) : value_(std::move(value)) {}

  [[nodiscard]] bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  /// Pointers are null when the value is of another kind.
  [[nodiscard]] const bool* boolean() const noexcept { return std::get_if<bool>(&value_); }
  /// A number written without fraction or exponent that fits in 64 signed bits.
  [[nodiscard]] const std::int64_t* integer() const noexcept { return std::get_if<std::int64_t>(&value_); }
  /// A number written with fraction or exponent, or an integer too large for 64 signed bits.
  [[nodiscard]] const double* real() const noexcept { return std::get_if<double>(&value_); }
  [[nodiscard]] const std::string* string() const noexcept { return std::get_if<std::string>(&value_); }
  [[nodiscard]] const Array* array() const noexcept { return std::get_if<Array>(&value_); }
  [[nodiscard]] const Object* object() const noexcept { return std::get_if<Object>(&value_); }
  /// The member of an object, or null (also when this is no object).
  [[nodiscard]] const Json* find(std::string_view key) const noexcept;
  /// Compact JSON text of the value, for messages and for storing.
  [[nodiscard]] std::string dump() const;
  friend bool operator==(const Json& a, const Json& b) noexcept = default;

 private:
  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

/// What a document may cost.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  std::size_t max_depth = 64;
};

/// Parses one document. `code` is the kind of error to return; messages start with `name`.
/// Refused: invalid UTF-8, trailing content, duplicate keys, limits exceeded, and NaN or Infinity (which are not JSON).
[[nodiscard]] Result<Json> parse_json(std::string_view text, std::string_view name, ErrorCode code,
                                      JsonLimits limits = {});

/// Reads and parses a regular file; missing, unreadable, too large or not a regular file are errors with its name.
[[nodiscard]] Result<Json> read_json_file(const std::string& path, ErrorCode code, JsonLimits limits = {});

/// Appends `text` as a JSON string, quotes included. Control characters and quotes are escaped, the rest stays UTF-8;
/// bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);
/// Appends the shortest decimal that reads back to exactly this float. The value must be finite.
void append_json_number(std::string& out, float value);
void append_json_number(std::string& out, double value);
void append_json_number(std::string& out, std::int64_t value);

}  // namespace layerscope
