// k-means: rows into k groups, each row with the centre that is nearest to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "analysis/vectors.h"
#include "layerscope/error.h"

namespace layerscope {

struct KMeansOptions {
  std::size_t k = 2;
  std::uint64_t seed = 0;
  std::size_t max_iterations = 300;
  int threads = 0;              ///< 0: all cores
  std::vector<double> centres;  ///< [k, width] to begin with, instead of seeding
};

struct KMeans {
  std::size_t k = 0;
  std::vector<std::uint32_t> labels;  ///< [rows]
  std::vector<double> distances;      ///< [rows] squared, to the row's own centre
  std::vector<double> centres;        ///< [k, width]
  std::vector<std::size_t> sizes;     ///< [k]
  double inertia = 0;                 ///< sum of `distances`
  std::size_t iterations = 0;         ///< times that rows were given to centres
  bool converged = false;             ///< the last time changed no label
};

/// Lloyd's iterations (Lloyd 1982) from k-means++ (Arthur and Vassilvitskii 2007; 2 + ln k draws a centre, of which the
/// best is taken, as scikit-learn does), until no label changes. Squared Euclidean distances and all sums are float64
/// in a fixed order: bits depend on the rows, k and the seed, not on threads or the instruction set. Of equally near
/// centres the lower one wins. A centre that loses all its rows becomes the row that is farthest from its own
/// (as in scikit-learn); of equally far ones the first.
/// Errors: kUsage for no rows, and for k = 0 or above the number of distinct rows; kRuntime for a row that is not
/// finite (its index); kResource.
[[nodiscard]] Result<KMeans> k_means(const VectorsView& vectors, const KMeansOptions& options);

/// The rows nearest to each centre, at most `count` of them, nearest first and equally near ones by index.
[[nodiscard]] std::vector<std::vector<std::size_t>> nearest_rows(const KMeans& clusters, std::size_t count);

}  // namespace layerscope
