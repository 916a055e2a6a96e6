// Values of any float type as float32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// Rows of float32, end to end.
struct FloatTable {
  std::int64_t rows = 0, width = 0;
  std::vector<float> values;
};

/// Appends `count` values, which need not be aligned; float64 is rounded. False, and nothing done, for a type that is
/// no float.
[[nodiscard]] inline bool append_floats(DType dtype, const std::byte* data, std::size_t count,
                                        std::vector<float>& out) {
  const auto each = [&](auto stored, const auto& convert) {
    out.reserve(out.size() + count);
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(&stored, data + i * sizeof stored, sizeof stored);
      out.push_back(convert(stored));
    }
    return true;
  };
  switch (dtype) {
    case DType::kF32: return each(float{}, [](float value) { return value; });
    case DType::kF64: return each(double{}, [](double value) { return static_cast<float>(value); });
    case DType::kF16: return each(std::uint16_t{}, f16_to_float);
    case DType::kBF16: return each(std::uint16_t{}, bf16_to_float);
    default: return false;
  }
}

}  // namespace layerscope
