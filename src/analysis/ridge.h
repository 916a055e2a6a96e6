// Ridge regression from moments: one pass over the rows serves every fold and every strength.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/logistic.h"
#include "analysis/probe_rows.h"

namespace layerscope {

/// Sums over rows x (with a 1 behind) and one or more targets y.
struct RidgeMoments {
  std::size_t columns = 0;
  std::vector<double> xx;               ///< [columns, columns]: x x'; the last element counts the rows
  std::vector<std::vector<double>> xy;  ///< of each target, [columns]
  std::vector<double> yy;               ///< of each target
  RidgeMoments(std::size_t wide, std::size_t targets)
      : columns(wide), xx(wide * wide), xy(targets, std::vector<double>(wide)), yy(targets) {}
  void add(const RidgeMoments& other) noexcept;
  [[nodiscard]] double rows() const noexcept { return xx.back(); }
};

/// The moments of each part. x x' by the backend's products, a tile at a time, all other sums in float64. `targets`:
/// each by row index.
[[nodiscard]] Result<std::vector<RidgeMoments>> ridge_moments(
    const Backend& backend, const VectorSet& vectors, const Standard& standard, std::span<const std::int64_t> rows,
    Parts parts, std::size_t part_count, std::span<const std::span<const double>> targets, int threads);

/// Weights [columns], the intercept last, that minimise |y - x w|^2 + alpha |w|^2 with x standardised by the moments'
/// own rows and the intercept free (sklearn.linear_model.Ridge behind StandardScaler), as weights for x as it came.
[[nodiscard]] std::vector<double> solve_ridge(const RidgeMoments& moments, std::size_t target, double alpha);

/// Sum of (y - x w)^2 over the moments' rows.
[[nodiscard]] double ridge_error(const RidgeMoments& moments, std::size_t target, const std::vector<double>& weights);

}  // namespace layerscope
