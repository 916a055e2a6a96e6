// What a fuzz target asserts besides not crashing.
#pragma once

#include <cstdint>
#include <string_view>

#include "layerscope/error.h"

namespace layerscope::fuzz {

/// Stops the fuzzer with the input at hand.
inline void check(bool condition) {
  if (!condition) __builtin_trap();
}

/// Every refusal has the expected code and is one line that starts with the file's name.
inline void check_error(const Error& error, ErrorCode code, std::string_view name) {
  check(error.code == code);
  check(error.message.starts_with(name) && error.message.substr(name.size()).starts_with(": "));
  check(error.message.find('\n') == std::string::npos);
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace layerscope::fuzz
