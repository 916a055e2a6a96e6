// Rows in blocks of one size, so that sums over them do not depend on who computes which.
#pragma once

#include <algorithm>
#include <cstddef>

namespace layerscope {

inline constexpr std::size_t kBlockRows = 1024;

struct RowRange {
  std::size_t first = 0, end = 0;
};

[[nodiscard]] constexpr std::size_t block_count(std::size_t rows) noexcept {
  return rows / kBlockRows + (rows % kBlockRows == 0 ? 0 : 1);
}
[[nodiscard]] constexpr RowRange block_of(std::size_t block, std::size_t rows) noexcept {
  return {block * kBlockRows, std::min((block + 1) * kBlockRows, rows)};
}

}  // namespace layerscope
