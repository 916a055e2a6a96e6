// Text on a terminal: how wide it is, and how to show it without giving it power over the terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace layerscope {

/// Columns that a code point takes: 0 for combining marks and joiners, 2 for East Asian wide and emoji, else 1
/// (Unicode Standard Annex 11 and the East_Asian_Width, General_Category and Emoji_Presentation properties).
[[nodiscard]] int code_point_width(char32_t code_point) noexcept;

/// Columns that UTF-8 text takes. Bytes that are not UTF-8 count as one column each.
[[nodiscard]] std::size_t display_width(std::string_view text) noexcept;

/// The text on one line and harmless: control characters and bidirectional overrides become \n, \t, \x1b, \u202e;
/// bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string visible(std::string_view text);

/// The text in at most `columns` columns, cut at the end with an ellipsis where it is longer. Expects visible text.
[[nodiscard]] std::string clipped(std::string_view text, std::size_t columns);

/// The text in at most `columns` columns, cut in the middle with an ellipsis where it is longer. Expects visible text.
[[nodiscard]] std::string clipped_middle(std::string_view text, std::size_t columns);

/// Clipped and filled with blanks to exactly `columns` columns, at the right or the left.
[[nodiscard]] std::string left_aligned(std::string_view text, std::size_t columns);
[[nodiscard]] std::string right_aligned(std::string_view text, std::size_t columns);

/// "1,234,567".
[[nodiscard]] std::string count_text(std::int64_t count);

}  // namespace layerscope
