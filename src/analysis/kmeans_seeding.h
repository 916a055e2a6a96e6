// The centres that k-means begins with.
#pragma once

#include <cstddef>
#include <vector>

#include "analysis/random.h"
#include "analysis/vectors.h"
#include "layerscope/error.h"

namespace layerscope {

/// k-means++ (Arthur and Vassilvitskii 2007): the first row is drawn evenly, every further one with a probability in
/// proportion to its squared distance from the nearest row chosen so far. Of 2 + ln k rows drawn at a time the one that
/// leaves the smallest sum of squared distances is taken (their section 5; scikit-learn's choice of how many).
/// Returns k indices of distinct rows. Errors: kUsage where fewer than k rows are distinct.
[[nodiscard]] Result<std::vector<std::size_t>> k_means_plus_plus(const VectorsView& vectors, std::size_t k,
                                                                 SplitMix64& random, int threads);

}  // namespace layerscope
