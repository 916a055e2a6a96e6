// Safetensors files spelled out by hand, right or wrong.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace layerscope::test {

/// A length as the format writes it: eight bytes, little-endian.
inline std::string length_bytes(std::uint64_t length) {
  std::string out;
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(length >> (8 * i) & 0xFF));
  return out;
}

/// Length, header, and `data_size` bytes that count up.
inline std::string safetensors_bytes(std::string_view header, std::size_t data_size) {
  std::string out = length_bytes(header.size()).append(header);
  for (std::size_t i = 0; i < data_size; ++i) out.push_back(static_cast<char>(i & 0xFF));
  return out;
}

inline std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace layerscope::test
