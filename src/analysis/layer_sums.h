// What vectors of one layer, and of two layers side by side, come to: sums in float64 over any number of them.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace layerscope {

/// Vectors of one layer.
class LayerSums {
 public:
  explicit LayerSums(std::int64_t width) : units_(static_cast<std::size_t>(width)) {}
  /// [rows, width]. The index of the first vector that holds NaN or infinity, -1 if there is none.
  std::int64_t add(const float* vectors, std::int64_t rows);

  /// Euclidean. NaN without vectors.
  [[nodiscard]] double mean_norm() const noexcept;
  /// The mean cosine of all pairs of different vectors: what Ethayarajh (2019, "How contextual are contextualized word
  /// representations?", section 4.1) estimates from random pairs, here over every one of them, as the sum of all
  /// cosines is the squared length of the sum of the vectors at length 1. Vectors of zeros take no part. NaN with fewer
  /// than two.
  [[nodiscard]] double anisotropy() const noexcept;

 private:
  std::vector<double> units_;  // sum of vectors at length 1
  double norms_ = 0, unit_squares_ = 0;
  std::int64_t rows_ = 0, directed_ = 0;
};

/// The mean cosine of vectors of two layers of one width, one by one. Pairs with a vector of zeros count as 0.
class CosineSum {
 public:
  void add(const float* a, const float* b, std::int64_t rows, std::int64_t width);
  [[nodiscard]] double mean() const noexcept {
    return rows_ > 0 ? sum_ / static_cast<double>(rows_) : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  double sum_ = 0;
  std::int64_t rows_ = 0;
};

}  // namespace layerscope
