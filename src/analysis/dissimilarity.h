// How alike the geometry of two sets of vectors is: representational similarity analysis (Kriegeskorte, Mur and
// Bandettini 2008, "Representational similarity analysis - connecting the branches of systems neuroscience").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace layerscope {

/// Ranks of the dissimilarities of all pairs of `rows` vectors [rows, width]: a pair's dissimilarity is 1 - Pearson's
/// correlation of the two, the lowest has rank 1, equal ones share the mean of their ranks. Pairs stand in the order
/// (0,1), (0,2), ..., (1,2), ... A vector whose elements are all equal correlates with nothing: 0.
[[nodiscard]] std::vector<float> dissimilarity_ranks(const float* vectors, std::int64_t rows, std::int64_t width);

/// Values that `dissimilarity_ranks` is exact for: ranks are multiples of 1/2 that a float holds.
inline constexpr std::int64_t kMostRankedRows = 4096;

/// Pearson's correlation of two lists of ranks of the same pairs: Spearman's rank correlation. NaN where either list
/// holds one value only.
[[nodiscard]] double rank_correlation(std::span<const float> a, std::span<const float> b);

}  // namespace layerscope
