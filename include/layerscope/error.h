// Errors as values. Nothing in the library prints, throws across its API, aborts or exits.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace layerscope {

/// The closed list of reasons for which something can fail. A front end maps them to its own world:
/// the command line to exit statuses, a server to HTTP statuses, Python to exceptions.
enum class ErrorCode : unsigned char {
  kRuntime,    ///< failed while running: NaN or infinity, unreadable file, not a run folder
  kUsage,      ///< the request makes no sense: unknown site, contradicting options, a refused resume
  kInput,      ///< a row that cannot be processed: bad JSON, invalid UTF-8, too long
  kModel,      ///< the model folder is refused: missing, corrupt, hostile or unsupported
  kResource,   ///< disk, memory or a limit ran out
  kDamage,     ///< stored data is not what was written
  kCancelled,  ///< the caller asked to stop
};

/// The code's name as `--json` prints it: "runtime", "usage", "input", "model", "resource", "damage", "cancelled".
[[nodiscard]] const char* error_code_name(ErrorCode code) noexcept;

/// What went wrong. `message` is one line: "FILE: what is wrong (which field, which value, what was expected)".
struct Error {
  ErrorCode code = ErrorCode::kRuntime;
  std::string message;
};

/// Either a value or an Error. Reading the value of a failed result is a programming error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] T& value() & { return *std::get_if<0>(&state_); }
  [[nodiscard]] const T& value() const& { return *std::get_if<0>(&state_); }
  [[nodiscard]] T&& value() && { return std::move(*std::get_if<0>(&state_)); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return *std::get_if<0>(&state_); }
  [[nodiscard]] const Error& error() const& { return *std::get_if<1>(&state_); }
  [[nodiscard]] Error&& error() && { return std::move(*std::get_if<1>(&state_)); }

 private:
  std::variant<T, Error> state_;
};

/// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const noexcept { return !error_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const& { return *error_; }
  [[nodiscard]] Error&& error() && { return std::move(*error_); }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace layerscope
