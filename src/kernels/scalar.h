// Single elements of every float type, read and written. The conversions round to nearest even and keep NaN a NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "layerscope/tensor.h"

namespace layerscope {

[[nodiscard]] inline float bf16_to_float(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

[[nodiscard]] inline std::uint16_t float_to_bf16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

[[nodiscard]] inline float half_to_float(std::uint16_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t magnitude = bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return std::bit_cast<float>(sign | 0x7F800000u | ((magnitude & 0x3FFu) << 13));
  if (magnitude >= 0x400u) return std::bit_cast<float>(sign | ((magnitude + (112u << 10)) << 13));
  const float tiny = static_cast<float>(magnitude) * 0x1p-24f;
  return sign != 0 ? -tiny : tiny;
}

[[nodiscard]] inline std::uint16_t float_to_half(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<std::uint16_t>(sign | 0x7E00u | ((magnitude >> 13) & 0x3FFu));
  if (magnitude >= 0x477FF000u) return static_cast<std::uint16_t>(sign | 0x7C00u);  // 65520 and above round to infinity
  if (magnitude >= 0x38800000u) {
    const std::uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return static_cast<std::uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
  }
  // Subnormal halves are multiples of 2^-24: adding 0.5 leaves that multiple, rounded, in the sum's last bits.
  const float sum = std::bit_cast<float>(magnitude) + 0.5f;
  return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(sum) - 0x3F000000u));
}

/// The nearest float, unless inexact: then the neighbour with an odd last bit, so that a second rounding is right.
[[nodiscard]] inline float double_to_float_odd(double value) noexcept {
  const auto nearest = static_cast<float>(value);
  if (!std::isfinite(value) || static_cast<double>(nearest) == value) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  if (std::fabs(static_cast<double>(nearest)) > std::fabs(value)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

/// Element `index` of data in a float type (kF64, kF32, kF16, kBF16); the data may be unaligned.
template <class T>
[[nodiscard]] T load_element(DType dtype, const std::byte* data, std::int64_t index) noexcept {
  const std::byte* at = data + index * static_cast<std::int64_t>(dtype_size(dtype));
  const auto read = [at](auto value) {
    std::memcpy(&value, at, sizeof(value));
    return value;
  };
  switch (dtype) {
    case DType::kF64: return static_cast<T>(read(double{}));
    case DType::kF16: return static_cast<T>(half_to_float(read(std::uint16_t{})));
    case DType::kBF16: return static_cast<T>(bf16_to_float(read(std::uint16_t{})));
    default: return static_cast<T>(read(float{}));
  }
}

template <class T>
void store_element(DType dtype, std::byte* data, std::int64_t index, T value) noexcept {
  std::byte* at = data + index * static_cast<std::int64_t>(dtype_size(dtype));
  const auto write = [at](auto stored) { std::memcpy(at, &stored, sizeof(stored)); };
  switch (dtype) {
    case DType::kF64: return write(static_cast<double>(value));
    case DType::kF16: return write(float_to_half(double_to_float_odd(static_cast<double>(value))));
    case DType::kBF16: return write(float_to_bf16(double_to_float_odd(static_cast<double>(value))));
    default: return write(static_cast<float>(value));
  }
}

}  // namespace layerscope
