// How well groups are apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "analysis/vectors.h"
#include "layerscope/error.h"

namespace layerscope {

/// Rows up to which the silhouette is that of all of them; its cost is their square.
inline constexpr std::size_t kSilhouetteRows = 4096;

struct Silhouette {
  double mean = 0;       ///< -1 ... 1
  std::size_t rows = 0;  ///< whose mean it is: all, or those of a sample
};

/// The mean of (b - a) / max(a, b) over rows, where a is a row's mean Euclidean distance to the others of its group and
/// b the least of its mean distances to the rows of another group; 0 for a row alone in its group (Rousseeuw 1987). Of
/// more than `most_rows` rows a sample of as many is taken, evenly and without repetition, and looked at by itself. All
/// in float64 and in a fixed order. Nothing where it means nothing: one group, or as many groups as rows.
/// Errors: kResource.
[[nodiscard]] Result<std::optional<Silhouette>> silhouette(const VectorsView& vectors,
                                                           std::span<const std::uint32_t> labels, std::size_t k,
                                                           std::uint64_t seed, int threads,
                                                           std::size_t most_rows = kSilhouetteRows);

}  // namespace layerscope
