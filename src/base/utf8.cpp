#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace layerscope {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t offset) noexcept {
  return static_cast<std::uint8_t>(text[offset]);
}

/// Bytes of the sequence that `lead` starts, or 0.
std::size_t sequence_length(std::uint8_t lead) noexcept {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  if (lead >= 0xF0 && lead <= 0xF4) return 4;
  return 0;
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& offset) noexcept {
  const std::size_t start = offset++;
  const std::uint8_t lead = byte_at(text, start);
  const std::size_t length = sequence_length(lead);
  if (length == 1) return lead;
  if (length == 0 || text.size() - start < length) return kInvalidCodePoint;
  char32_t code_point = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const std::uint8_t next = byte_at(text, start + i);
    if ((next & 0xC0) != 0x80) return kInvalidCodePoint;
    code_point = code_point << 6 | (next & 0x3FU);
  }
  const bool overlong = (length == 3 && code_point < 0x800) || (length == 4 && code_point < 0x10000);
  const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
  if (overlong || surrogate || code_point > 0x10FFFF) return kInvalidCodePoint;
  offset = start + length;
  return code_point;
}

std::size_t find_invalid_utf8(std::string_view text) noexcept {
  std::size_t offset = 0;
  while (offset < text.size()) {
    while (text.size() - offset >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data() + offset, sizeof word);
      if ((word & 0x8080808080808080U) != 0) break;
      offset += sizeof word;
    }
    if (offset == text.size()) break;
    const std::size_t start = offset;
    if (next_code_point(text, offset) == kInvalidCodePoint) return start;
  }
  return std::string_view::npos;
}

bool is_valid_utf8(std::string_view text) noexcept { return find_invalid_utf8(text) == std::string_view::npos; }

std::size_t count_code_points(std::string_view text) noexcept {
  std::size_t count = 0;
  for (std::size_t offset = 0; offset < text.size(); ++count) static_cast<void>(next_code_point(text, offset));
  return count;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(static_cast<std::uint8_t>(byte))); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string printable(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (std::size_t offset = 0; offset < text.size();) {
    const std::size_t start = offset;
    const char32_t code_point = next_code_point(text, offset);
    if (offset > max_bytes) return out + "...";
    const bool control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0) || code_point == 0x2028 ||
                         code_point == 0x2029 || code_point == kInvalidCodePoint;
    if (!control) {
      out.append(text.substr(start, offset - start));
      continue;
    }
    for (std::size_t i = start; i < offset; ++i) {
      out.append("\\x").push_back(kHex[byte_at(text, i) >> 4]);
      out.push_back(kHex[byte_at(text, i) & 0xF]);
    }
  }
  return out;
}

}  // namespace layerscope
