// Vectors that lie somewhere in memory, and the numbers that name them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "layerscope/tensor.h"

namespace layerscope {

/// Rows of one shard or file: one vector each. Blocks of a corpus need not come in the order of their numbers.
struct VectorBlock {
  RowsView values;                        ///< kF32, kF16, kBF16, kI8 or kU8
  std::span<const std::int64_t> numbers;  ///< of each row, ascending; empty: first, first + 1, ...
  std::int64_t first = 0;
  [[nodiscard]] std::int64_t number(std::int64_t row) const noexcept {
    return numbers.empty() ? first + row : numbers[static_cast<std::size_t>(row)];
  }
};

}  // namespace layerscope
