#include "view/display_text.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include <fmt/format.h>

#include "base/utf8.h"

namespace layerscope {
namespace {

struct Range {
  char32_t first, last;
};

constexpr std::array kZeroWidth{
    Range{0x0300, 0x036F},   Range{0x0483, 0x0489},   Range{0x0591, 0x05BD}, Range{0x05BF, 0x05BF},
    Range{0x05C1, 0x05C2},   Range{0x05C4, 0x05C5},   Range{0x05C7, 0x05C7}, Range{0x0610, 0x061A},
    Range{0x064B, 0x065F},   Range{0x0670, 0x0670},   Range{0x06D6, 0x06DC}, Range{0x06DF, 0x06E4},
    Range{0x06E7, 0x06E8},   Range{0x06EA, 0x06ED},   Range{0x0711, 0x0711}, Range{0x0730, 0x074A},
    Range{0x07A6, 0x07B0},   Range{0x0816, 0x082D},   Range{0x08CA, 0x0902}, Range{0x093A, 0x093A},
    Range{0x093C, 0x093C},   Range{0x0941, 0x0948},   Range{0x094D, 0x094D}, Range{0x0951, 0x0957},
    Range{0x0962, 0x0963},   Range{0x0981, 0x0981},   Range{0x09BC, 0x09BC}, Range{0x09C1, 0x09C4},
    Range{0x09CD, 0x09CD},   Range{0x0A3C, 0x0A51},   Range{0x0ABC, 0x0ABC}, Range{0x0AC1, 0x0AC8},
    Range{0x0ACD, 0x0ACD},   Range{0x0B3C, 0x0B3C},   Range{0x0B41, 0x0B44}, Range{0x0B4D, 0x0B4D},
    Range{0x0BC0, 0x0BC0},   Range{0x0BCD, 0x0BCD},   Range{0x0C3E, 0x0C40}, Range{0x0C46, 0x0C56},
    Range{0x0CBC, 0x0CBC},   Range{0x0CCC, 0x0CCD},   Range{0x0D41, 0x0D44}, Range{0x0D4D, 0x0D4D},
    Range{0x0DCA, 0x0DD6},   Range{0x0E31, 0x0E31},   Range{0x0E34, 0x0E3A}, Range{0x0E47, 0x0E4E},
    Range{0x0EB1, 0x0EB1},   Range{0x0EB4, 0x0EBC},   Range{0x0EC8, 0x0ECE}, Range{0x0F18, 0x0F19},
    Range{0x0F35, 0x0F39},   Range{0x0F71, 0x0F7E},   Range{0x0F80, 0x0F84}, Range{0x0F86, 0x0F87},
    Range{0x0F8D, 0x0FBC},   Range{0x102D, 0x1030},   Range{0x1032, 0x1037}, Range{0x1039, 0x103A},
    Range{0x103D, 0x103E},   Range{0x1058, 0x1059},   Range{0x1160, 0x11FF}, Range{0x135D, 0x135F},
    Range{0x1712, 0x1715},   Range{0x17B4, 0x17B5},   Range{0x17B7, 0x17BD}, Range{0x17C6, 0x17C6},
    Range{0x17C9, 0x17D3},   Range{0x180B, 0x180F},   Range{0x1920, 0x1922}, Range{0x1A17, 0x1A18},
    Range{0x1AB0, 0x1ACE},   Range{0x1B00, 0x1B03},   Range{0x1B34, 0x1B34}, Range{0x1DC0, 0x1DFF},
    Range{0x200B, 0x200F},   Range{0x2060, 0x2064},   Range{0x20D0, 0x20F0}, Range{0x2CEF, 0x2CF1},
    Range{0x2DE0, 0x2DFF},   Range{0x302A, 0x302D},   Range{0x3099, 0x309A}, Range{0xA66F, 0xA67D},
    Range{0xA802, 0xA802},   Range{0xA8E0, 0xA8F1},   Range{0xD7B0, 0xD7FF}, Range{0xFB1E, 0xFB1E},
    Range{0xFE00, 0xFE0F},   Range{0xFE20, 0xFE2F},   Range{0xFEFF, 0xFEFF}, Range{0x1D167, 0x1D169},
    Range{0x1F3FB, 0x1F3FF}, Range{0xE0000, 0xE01EF},
};

constexpr std::array kWide{
    Range{0x1100, 0x115F},   Range{0x231A, 0x231B},   Range{0x2329, 0x232A},   Range{0x23E9, 0x23EC},
    Range{0x23F0, 0x23F0},   Range{0x23F3, 0x23F3},   Range{0x25FD, 0x25FE},   Range{0x2614, 0x2615},
    Range{0x2648, 0x2653},   Range{0x267F, 0x267F},   Range{0x2693, 0x2693},   Range{0x26A1, 0x26A1},
    Range{0x26AA, 0x26AB},   Range{0x26BD, 0x26BE},   Range{0x26C4, 0x26C5},   Range{0x26CE, 0x26CE},
    Range{0x26D4, 0x26D4},   Range{0x26EA, 0x26EA},   Range{0x26F2, 0x26F3},   Range{0x26F5, 0x26F5},
    Range{0x26FA, 0x26FA},   Range{0x26FD, 0x26FD},   Range{0x2705, 0x2705},   Range{0x270A, 0x270B},
    Range{0x2728, 0x2728},   Range{0x274C, 0x274C},   Range{0x274E, 0x274E},   Range{0x2753, 0x2755},
    Range{0x2757, 0x2757},   Range{0x2795, 0x2797},   Range{0x27B0, 0x27B0},   Range{0x27BF, 0x27BF},
    Range{0x2B1B, 0x2B1C},   Range{0x2B50, 0x2B50},   Range{0x2B55, 0x2B55},   Range{0x2E80, 0x303E},
    Range{0x3041, 0x3247},   Range{0x3250, 0x4DBF},   Range{0x4E00, 0xA4CF},   Range{0xA960, 0xA97F},
    Range{0xAC00, 0xD7A3},   Range{0xF900, 0xFAFF},   Range{0xFE10, 0xFE19},   Range{0xFE30, 0xFE6F},
    Range{0xFF01, 0xFF60},   Range{0xFFE0, 0xFFE6},   Range{0x16FE0, 0x18CFF}, Range{0x1AFF0, 0x1B2FF},
    Range{0x1F004, 0x1F004}, Range{0x1F0CF, 0x1F0CF}, Range{0x1F18E, 0x1F18E}, Range{0x1F191, 0x1F19A},
    Range{0x1F200, 0x1F320}, Range{0x1F32D, 0x1F335}, Range{0x1F337, 0x1F37C}, Range{0x1F37E, 0x1F393},
    Range{0x1F3A0, 0x1F3CA}, Range{0x1F3CF, 0x1F3D3}, Range{0x1F3E0, 0x1F3F0}, Range{0x1F3F4, 0x1F3F4},
    Range{0x1F3F8, 0x1F3FA}, Range{0x1F400, 0x1F43E}, Range{0x1F440, 0x1F440}, Range{0x1F442, 0x1F4FC},
    Range{0x1F4FF, 0x1F53D}, Range{0x1F54B, 0x1F54E}, Range{0x1F550, 0x1F567}, Range{0x1F57A, 0x1F57A},
    Range{0x1F595, 0x1F596}, Range{0x1F5A4, 0x1F5A4}, Range{0x1F5FB, 0x1F64F}, Range{0x1F680, 0x1F6C5},
    Range{0x1F6CC, 0x1F6CC}, Range{0x1F6D0, 0x1F6D2}, Range{0x1F6D5, 0x1F6D7}, Range{0x1F6DC, 0x1F6DF},
    Range{0x1F6EB, 0x1F6EC}, Range{0x1F6F4, 0x1F6FC}, Range{0x1F7E0, 0x1F7F0}, Range{0x1F90C, 0x1F93A},
    Range{0x1F93C, 0x1F945}, Range{0x1F947, 0x1F9FF}, Range{0x1FA70, 0x1FAFF}, Range{0x20000, 0x3FFFD},
};

template <std::size_t N>
bool within(const std::array<Range, N>& ranges, char32_t code_point) noexcept {
  const auto* const after = std::upper_bound(ranges.begin(), ranges.end(), code_point,
                                             [](char32_t point, const Range& range) { return point < range.first; });
  return after != ranges.begin() && code_point <= std::prev(after)->last;
}

struct Decoded {
  char32_t code_point;
  std::size_t bytes;
  bool valid;
};

/// The first code point of a text that is not empty; an invalid byte comes back alone, as U+FFFD.
Decoded decode(std::string_view text) noexcept {
  std::size_t bytes = 0;
  const char32_t point = next_code_point(text, bytes);
  return point == kInvalidCodePoint ? Decoded{0xFFFD, bytes, false} : Decoded{point, bytes, true};
}

/// Characters that move the cursor, or text written after them.
bool is_control(char32_t point) noexcept {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || (point >= 0x202A && point <= 0x202E) ||
         (point >= 0x2066 && point <= 0x2069) || point == 0x2028 || point == 0x2029 || point == 0x200E ||
         point == 0x200F || point == 0x061C;
}

void append_escape(std::string& out, char32_t point) {
  switch (point) {
    case '\n': out += "\\n"; return;
    case '\t': out += "\\t"; return;
    case '\r': out += "\\r"; return;
    default: break;
  }
  const auto number = static_cast<std::uint32_t>(point);
  out += point < 0x100 ? fmt::format("\\x{:02x}", number) : fmt::format("\\u{:04x}", number);
}

/// The longest beginning of the text that takes at most `columns` columns, combining marks included.
std::string_view beginning(std::string_view text, std::size_t columns) noexcept {
  std::size_t bytes = 0;
  std::size_t used = 0;
  while (bytes < text.size()) {
    const Decoded next = decode(text.substr(bytes));
    used += static_cast<std::size_t>(code_point_width(next.code_point));
    if (used > columns) break;
    bytes += next.bytes;
  }
  return text.substr(0, bytes);
}

std::string_view ending(std::string_view text, std::size_t columns) noexcept {
  std::size_t width = display_width(text);
  while (width > columns) {
    const Decoded next = decode(text);
    width -= static_cast<std::size_t>(code_point_width(next.code_point));
    text.remove_prefix(next.bytes);
  }
  while (!text.empty() && code_point_width(decode(text).code_point) == 0) text.remove_prefix(decode(text).bytes);
  return text;
}

constexpr std::string_view kEllipsis = "…";

}  // namespace

int code_point_width(char32_t code_point) noexcept {
  if (code_point < 0x300) return 1;
  if (within(kZeroWidth, code_point)) return 0;
  return within(kWide, code_point) ? 2 : 1;
}

std::size_t display_width(std::string_view text) noexcept {
  std::size_t width = 0;
  while (!text.empty()) {
    const Decoded next = decode(text);
    width += static_cast<std::size_t>(code_point_width(next.code_point));
    text.remove_prefix(next.bytes);
  }
  return width;
}

std::string visible(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Decoded next = decode(text);
    if (!next.valid) {
      out += "\xEF\xBF\xBD";
    } else if (is_control(next.code_point)) {
      append_escape(out, next.code_point);
    } else {
      out += text.substr(0, next.bytes);
    }
    text.remove_prefix(next.bytes);
  }
  return out;
}

std::string clipped(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  return std::string(beginning(text, columns - 1)) + std::string(kEllipsis);
}

std::string clipped_middle(std::string_view text, std::size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return {};
  const std::size_t tail = (columns - 1) / 3;
  return std::string(beginning(text, columns - 1 - tail)) + std::string(kEllipsis) + std::string(ending(text, tail));
}

std::string left_aligned(std::string_view text, std::size_t columns) {
  std::string out = clipped(text, columns);
  out.append(columns - display_width(out), ' ');
  return out;
}

std::string right_aligned(std::string_view text, std::size_t columns) {
  const std::string shown = clipped(text, columns);
  return std::string(columns - display_width(shown), ' ') + shown;
}

std::string count_text(std::int64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t place = text.size(); place > 3 + (count < 0 ? 1U : 0U);) text.insert(place -= 3, ",");
  return text;
}

}  // namespace layerscope
