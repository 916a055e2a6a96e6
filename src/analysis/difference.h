// How far apart two matrices of the same shape are: the numbers of a comparison, gathered piece by piece.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "layerscope/tensor.h"

namespace layerscope {

/// The difference of rows b (the yardstick) and a. All sums are float64.
struct Difference {
  std::int64_t tokens = 0, elements = 0;
  double rel_l2 = 0;                  ///< |a - b| / |b|, over all elements; infinite where b is 0 and a is not
  double max_abs = 0;                 ///< largest |a - b|
  double mean_abs = 0;                ///< mean |a - b|
  double cosine = 1;                  ///< of a and b as one vector each; 1 where both are 0
  std::uint64_t max_ulps = 0;         ///< most representable values between two elements, in the grid's type
  double median_ulps = 0;             ///< of all elements, exact up to 1, beyond that to a power of two
  double worst_token_rel = 0;         ///< largest |a_t - b_t| / |b_t| of a token
  std::int64_t worst_token = -1;      ///< that token, counted over everything that was added; -1 where nothing differs
  std::int64_t worst_dimension = -1;  ///< the element of that token that is farthest apart
};

/// |a - b| / |b| of one token's elements.
[[nodiscard]] double relative_error(std::span<const double> a, std::span<const double> b) noexcept;

/// Representable values of `grid` (kF32, kF16 or kBF16; another type counts as kF32) from a to b, both rounded to it.
[[nodiscard]] std::uint64_t ulps_between(double a, double b, DType grid) noexcept;

/// Gathers a Difference. Tokens are added in the order of the data, so that the bits do not depend on how they come.
class DifferenceSum {
 public:
  explicit DifferenceSum(DType grid = DType::kF32) : grid_(grid) {}
  /// One token: its elements in both matrices, as many of each. Returns relative_error(a, b).
  double add(std::span<const double> a, std::span<const double> b);
  [[nodiscard]] Difference result() const;

 private:
  DType grid_;
  Difference so_far_;
  double difference_ = 0, a_ = 0, b_ = 0, dot_ = 0, absolute_ = 0;
  std::array<std::int64_t, 66> ulps_{};  // 0, 1, then by power of two
};

}  // namespace layerscope
