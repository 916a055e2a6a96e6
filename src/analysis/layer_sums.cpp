#include "analysis/layer_sums.h"

#include <cmath>

namespace layerscope {
namespace {

double dot(const float* a, const float* b, std::int64_t width) {
  double sum[4] = {0, 0, 0, 0};  // four chains, whose additions need not wait for each other
  for (std::int64_t k = 0; k < width; ++k) sum[k % 4] += double{a[k]} * double{b[k]};
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

std::int64_t LayerSums::add(const float* vectors, std::int64_t rows) {
  const auto width = static_cast<std::int64_t>(units_.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* const vector = vectors + row * width;
    const double squares = dot(vector, vector, width);
    if (!std::isfinite(squares)) return row;
    const double norm = std::sqrt(squares);
    norms_ += norm;
    ++rows_;
    if (!(norm > 0)) continue;
    ++directed_;
    for (std::int64_t k = 0; k < width; ++k) {
      const double unit = double{vector[k]} / norm;
      units_[static_cast<std::size_t>(k)] += unit;
      unit_squares_ += unit * unit;
    }
  }
  return -1;
}

double LayerSums::mean_norm() const noexcept {
  return rows_ > 0 ? norms_ / static_cast<double>(rows_) : std::numeric_limits<double>::quiet_NaN();
}

double LayerSums::anisotropy() const noexcept {
  if (directed_ < 2) return std::numeric_limits<double>::quiet_NaN();
  double length = 0;
  for (const double sum : units_) length += sum * sum;
  const auto count = static_cast<double>(directed_);
  return (length - unit_squares_) / (count * (count - 1));
}

void CosineSum::add(const float* a, const float* b, std::int64_t rows, std::int64_t width) {
  for (std::int64_t row = 0; row < rows; ++row, a += width, b += width) {
    const double norms = std::sqrt(dot(a, a, width)) * std::sqrt(dot(b, b, width));
    if (norms > 0) sum_ += dot(a, b, width) / norms;
  }
  rows_ += rows;
}

}  // namespace layerscope
