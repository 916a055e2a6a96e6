// UTF-8: validity, code points, and text from outside made fit for a message.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace layerscope {

/// What next_code_point returns for bytes that are not UTF-8.
inline constexpr char32_t kInvalidCodePoint = 0xFFFFFFFF;

/// Decodes the code point at `offset` (which must be < text.size()) and moves `offset` behind it. Overlong forms,
/// surrogates, values above U+10FFFF and cut sequences give kInvalidCodePoint, and `offset` moves by one byte.
[[nodiscard]] char32_t next_code_point(std::string_view text, std::size_t& offset) noexcept;

/// Offset of the first byte that is not part of valid UTF-8, or std::string_view::npos.
[[nodiscard]] std::size_t find_invalid_utf8(std::string_view text) noexcept;
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

/// Number of code points of valid UTF-8. An invalid byte counts as one.
[[nodiscard]] std::size_t count_code_points(std::string_view text) noexcept;

/// Appends a code point (at most U+10FFFF) as UTF-8.
void append_utf8(std::string& out, char32_t code_point);

/// `text` for a one-line message: control characters and invalid bytes as \xHH, cut with "..." after `max_bytes`.
[[nodiscard]] std::string printable(std::string_view text, std::size_t max_bytes = 120);

}  // namespace layerscope
