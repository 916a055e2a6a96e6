// The words of a command line, before they mean anything, and what all commands ask of them.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "cli/option_table.h"
#include "layerscope/error.h"

namespace layerscope::cli {

inline Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

/// Words and flags of one command line, before they mean anything.
struct Words {
  Command command = Command::kInspect;
  std::array<std::optional<std::string>, kFlagCount> values;
  std::array<std::vector<std::string>, kFlagCount> lists;  // of flags that may be repeated
  std::array<bool, kFlagCount> switches{};
  std::vector<std::string> positionals;

  [[nodiscard]] bool given(Flag flag) const {
    return on(flag) || values[static_cast<std::size_t>(flag)].has_value() || !list(flag).empty();
  }
  [[nodiscard]] const std::vector<std::string>& list(Flag flag) const { return lists[static_cast<std::size_t>(flag)]; }
  [[nodiscard]] bool on(Flag flag) const { return switches[static_cast<std::size_t>(flag)]; }
  [[nodiscard]] std::string text(Flag flag, std::string_view fallback) const {
    return values[static_cast<std::size_t>(flag)].value_or(std::string(fallback));
  }
};

/// Flags with their values, and positionals, of `command`. Errors: kUsage for flags it does not take, with the nearest.
[[nodiscard]] Result<Words> split_words(Command command, std::span<const std::string> arguments);
/// Errors: kUsage where a value is none of its flag's choices.
[[nodiscard]] Status check_choices(const Words& words);
[[nodiscard]] Status expect_positionals(const Words& words, std::size_t least, std::size_t most);
/// Errors: kUsage where one of the flags is given an empty value.
[[nodiscard]] Status expect_values(const Words& words, std::initializer_list<Flag> flags);
[[nodiscard]] Result<double> real(Flag flag, const std::string& text);

template <class Integer>
Result<Integer> integer(Flag flag, std::string_view text, Integer least, Integer most) {
  Integer value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    return usage(
        fmt::format("{} {}: expected a whole number from {} to {}", flag_row(flag).long_name, text, least, most));
  }
  return value;
}

}  // namespace layerscope::cli
