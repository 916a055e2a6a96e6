// Vectors of equal width, end to end, that somebody else owns.
#pragma once

#include <cstddef>
#include <span>

namespace layerscope {

struct VectorsView {
  std::span<const float> values;  ///< [rows, width]
  std::size_t width = 0;          ///< at least 1
  [[nodiscard]] std::size_t rows() const noexcept { return values.size() / width; }
  [[nodiscard]] const float* row(std::size_t index) const noexcept { return values.data() + index * width; }
};

}  // namespace layerscope
