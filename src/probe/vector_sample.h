// A few vectors out of many: the same ones however they come.
#pragma once

#include <cstdint>
#include <vector>

#include "probe/layer_source.h"

namespace layerscope {

/// Keeps the vectors with the smallest XXH3-64 of (row, position) as two little-endian I64 under `seed`, as sample:K
/// picks positions of a row.
class VectorSample {
 public:
  VectorSample(std::int64_t capacity, std::uint64_t seed, std::vector<std::int64_t> widths);
  void add(const LayerBlock& block);
  [[nodiscard]] std::int64_t rows() const noexcept { return static_cast<std::int64_t>(kept_.size()); }
  /// By site, [rows, width], ordered by row and position.
  [[nodiscard]] std::vector<std::vector<float>> take();

 private:
  struct Kept {
    std::uint64_t key = 0;
    std::int64_t row = 0, position = 0;
    std::size_t slot = 0;  // of values_
    friend auto operator<=>(const Kept& a, const Kept& b) noexcept = default;
  };
  std::size_t capacity_;
  std::uint64_t seed_;
  std::vector<std::int64_t> widths_;
  std::vector<Kept> kept_;  // a heap, the largest first
  std::vector<std::vector<float>> values_;
};

}  // namespace layerscope
