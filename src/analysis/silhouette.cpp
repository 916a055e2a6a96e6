#include "analysis/silhouette.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "analysis/distance.h"
#include "analysis/random.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kTileRows = 16;

/// `most` of the numbers below `rows`, ascending; all where there are no more.
std::vector<std::size_t> sample_of(std::size_t rows, std::size_t most, std::uint64_t seed) {
  std::vector<std::size_t> sample(rows);
  std::iota(sample.begin(), sample.end(), std::size_t{0});
  if (rows <= most) return sample;
  SplitMix64 random(seed);
  for (std::size_t i = 0; i < most; ++i) std::swap(sample[i], sample[i + random.below(rows - i)]);
  sample.resize(most);
  std::sort(sample.begin(), sample.end());
  return sample;
}

}  // namespace

Result<std::optional<Silhouette>> silhouette(const VectorsView& vectors, std::span<const std::uint32_t> labels,
                                             std::size_t k, std::uint64_t seed, int threads,
                                             std::size_t most_rows) try {
  const std::vector<std::size_t> rows = sample_of(vectors.rows(), most_rows, seed);
  std::vector<std::size_t> sizes(k, 0);
  for (const std::size_t row : rows) ++sizes[labels[row]];
  const auto groups = static_cast<std::size_t>(std::ranges::count_if(sizes, [](std::size_t size) { return size > 0; }));
  if (groups < 2 || groups >= rows.size()) return std::optional<Silhouette>();

  std::vector<double> values(rows.size());
  const std::size_t tiles = (rows.size() + kTileRows - 1) / kTileRows;
  LAYERSCOPE_TRY(for_each_parallel(tiles, all_cores(threads), [&](std::size_t tile) -> Status {
    const std::size_t first = tile * kTileRows, count = std::min(kTileRows, rows.size() - first);
    std::vector<double> sums(count * k, 0);  // of distances to every group
    for (const std::size_t other : rows) {
      for (std::size_t i = 0; i < count; ++i) {
        sums[i * k + labels[other]] +=
            std::sqrt(squared_distance(vectors.row(rows[first + i]), vectors.row(other), vectors.width));
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t own = labels[rows[first + i]];
      if (sizes[own] < 2) continue;
      double nearest = std::numeric_limits<double>::infinity();
      for (std::size_t group = 0; group < k; ++group) {
        if (group != own && sizes[group] > 0)
          nearest = std::min(nearest, sums[i * k + group] / static_cast<double>(sizes[group]));
      }
      const double within = sums[i * k + own] / static_cast<double>(sizes[own] - 1);
      const double larger = std::max(within, nearest);
      if (larger > 0) values[first + i] = (nearest - within) / larger;
    }
    return {};
  }));
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  return std::optional(Silhouette{sum / static_cast<double>(rows.size()), rows.size()});
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "silhouette: out of memory"};
}

}  // namespace layerscope
