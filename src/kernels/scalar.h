// Single elements of every float type, read and written. The conversions round to nearest even and keep NaN a NaN.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/half.h"
#include "layerscope/tensor.h"

namespace layerscope {

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
    case DType::kF16: return static_cast<T>(f16_to_float(read(std::uint16_t{})));
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
    case DType::kF16: return write(float_to_f16(double_to_float_odd(static_cast<double>(value))));
    case DType::kBF16: return write(float_to_bf16(double_to_float_odd(static_cast<double>(value))));
    default: return write(static_cast<float>(value));
  }
}

}  // namespace layerscope
