// Products over rows, A' B, as the backend multiplies: a tile of rows in float32, everything across tiles in float64.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "analysis/probe_rows.h"

namespace layerscope {

/// One worker's tile of rows, both ways round.
class RowTile {
 public:
  explicit RowTile(const ProbeRows& rows);

  void load(std::size_t tile);
  /// The rows, [kTile, columns of the rows]; those past the tile's end are 0.
  [[nodiscard]] const float* rows() const noexcept { return straight_.data(); }
  [[nodiscard]] std::int64_t count() const noexcept { return count_; }
  [[nodiscard]] Scratch& scratch() noexcept { return *scratch_; }

  /// into [columns of the rows, width] += rows' * b, with b [kTile, width], of which rows past the end are 0.
  [[nodiscard]] Status add_product(const float* b, std::size_t width, double* into);
  /// into [columns, columns] += rows' * diag(weights) * rows; `weights` [count] or null for 1. After pack().
  [[nodiscard]] Status add_gram(const float* weights, double* into);
  [[nodiscard]] Status pack();
  /// The same with another worker's tile as it was packed.
  [[nodiscard]] Status add_gram_of(const RowTile& tile, const float* weights, double* into);

 private:
  [[nodiscard]] Status multiply(const PackedLinear& by, const float* transposed, double* into);

  const ProbeRows& rows_;
  std::int64_t count_ = 0;
  std::unique_ptr<Scratch> scratch_;
  std::unique_ptr<PackedLinear> packed_;
  std::vector<float> straight_, transposed_, weighted_, product_;
};

}  // namespace layerscope
