#include "analysis/kmeans.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "analysis/blocks.h"
#include "analysis/distance.h"
#include "analysis/kmeans_seeding.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kTileRows = 16;     // stay in the nearest cache while all centres pass by
constexpr std::size_t kPieceRows = 4096;  // of one cluster, summed by one thread

Status check(const VectorsView& vectors, const KMeansOptions& options) {
  const std::size_t rows = vectors.rows();
  if (rows == 0) return Error{ErrorCode::kUsage, "there are no rows to cluster"};
  if (options.k == 0 || options.k > rows) {
    return Error{ErrorCode::kUsage, std::to_string(options.k) + " clusters of " + std::to_string(rows) +
                                        " rows (expected 1 to " + std::to_string(rows) + ")"};
  }
  return for_each_parallel(block_count(rows), options.threads, [&](std::size_t block) -> Status {
    const RowRange range = block_of(block, rows);
    for (std::size_t row = range.first; row < range.end; ++row) {
      const float* const values = vectors.row(row);
      if (!std::all_of(values, values + vectors.width, [](float value) { return std::isfinite(value); }))
        return Error{ErrorCode::kRuntime, "vector " + std::to_string(row) + " holds NaN or infinity"};
    }
    return {};
  });
}

class Lloyd {
 public:
  Lloyd(const VectorsView& vectors, std::size_t k, std::vector<double> centres, int threads)
      : vectors_(vectors), threads_(threads) {
    found_.k = k;
    found_.labels.resize(vectors.rows());
    found_.distances.resize(vectors.rows());
    found_.centres = std::move(centres);
  }

  Result<KMeans> run(std::size_t max_iterations) {
    std::vector<std::uint32_t> before;
    while (!found_.converged && found_.iterations < max_iterations) {
      if (found_.iterations > 0) LAYERSCOPE_TRY(move_centres());
      before = found_.labels;
      LAYERSCOPE_TRY(assign());
      fill_empty();
      found_.converged = found_.iterations > 0 && before == found_.labels;
      ++found_.iterations;
    }
    if (!found_.converged) {
      LAYERSCOPE_TRY(move_centres());
      LAYERSCOPE_TRY(assign());
    }
    for (std::size_t block = 0; block < block_count(vectors_.rows()); ++block) {
      const RowRange range = block_of(block, vectors_.rows());
      found_.inertia += std::accumulate(found_.distances.begin() + static_cast<std::ptrdiff_t>(range.first),
                                        found_.distances.begin() + static_cast<std::ptrdiff_t>(range.end), 0.0);
    }
    return std::move(found_);
  }

 private:
  /// Every row to its nearest centre.
  Status assign() {
    const std::size_t rows = vectors_.rows(), width = vectors_.width;
    LAYERSCOPE_TRY(for_each_parallel(block_count(rows), threads_, [&](std::size_t block) -> Status {
      const RowRange range = block_of(block, rows);
      for (std::size_t first = range.first; first < range.end; first += kTileRows) {
        const std::size_t count = std::min(kTileRows, range.end - first);
        std::array<double, kTileRows> least;
        std::array<std::uint32_t, kTileRows> nearest{};
        least.fill(std::numeric_limits<double>::infinity());
        for (std::size_t centre = 0; centre < found_.k; ++centre) {
          const double* const at = found_.centres.data() + centre * width;
          for (std::size_t i = 0; i < count; ++i) {
            const double distance = squared_distance(vectors_.row(first + i), at, width);
            if (distance < least[i]) {
              least[i] = distance;
              nearest[i] = static_cast<std::uint32_t>(centre);
            }
          }
        }
        std::copy_n(nearest.begin(), count, found_.labels.begin() + static_cast<std::ptrdiff_t>(first));
        std::copy_n(least.begin(), count, found_.distances.begin() + static_cast<std::ptrdiff_t>(first));
      }
      return {};
    }));
    found_.sizes.assign(found_.k, 0);
    for (const std::uint32_t label : found_.labels) ++found_.sizes[label];
    return {};
  }

  /// Every centre without rows gets the row that is farthest from its own, unless that row's cluster has no other.
  void fill_empty() {
    for (std::size_t empty = 0; empty < found_.k; ++empty) {
      if (found_.sizes[empty] > 0) continue;
      double most = 0;
      std::size_t farthest = 0;
      for (std::size_t row = 0; row < found_.labels.size(); ++row) {
        if (found_.distances[row] > most && found_.sizes[found_.labels[row]] > 1) {
          most = found_.distances[row];
          farthest = row;
        }
      }
      if (most == 0) return;
      --found_.sizes[found_.labels[farthest]];
      ++found_.sizes[empty];
      found_.labels[farthest] = static_cast<std::uint32_t>(empty);
      found_.distances[farthest] = 0;
    }
  }

  /// Every centre to the mean of its rows; one without rows stays. Rows are summed in their order, in pieces.
  Status move_centres() {
    const std::size_t width = vectors_.width;
    std::vector<std::size_t> begin(found_.k + 1, 0), next, members(vectors_.rows());
    std::partial_sum(found_.sizes.begin(), found_.sizes.end(), begin.begin() + 1);
    next = begin;
    for (std::size_t row = 0; row < members.size(); ++row) members[next[found_.labels[row]]++] = row;

    struct Piece {
      std::size_t centre, first, end;
    };
    std::vector<Piece> pieces;
    for (std::size_t centre = 0; centre < found_.k; ++centre) {
      for (std::size_t first = begin[centre]; first < begin[centre + 1]; first += kPieceRows)
        pieces.push_back({centre, first, std::min(first + kPieceRows, begin[centre + 1])});
    }
    std::vector<double> sums(pieces.size() * width);
    LAYERSCOPE_TRY(for_each_parallel(pieces.size(), threads_, [&](std::size_t index) -> Status {
      double* const sum = sums.data() + index * width;
      for (std::size_t at = pieces[index].first; at < pieces[index].end; ++at) {
        const float* const row = vectors_.row(members[at]);
        for (std::size_t i = 0; i < width; ++i) sum[i] += static_cast<double>(row[i]);
      }
      return {};
    }));
    for (std::size_t index = 0; index < pieces.size(); ++index) {
      const std::size_t centre = pieces[index].centre;
      double* const mean = found_.centres.data() + centre * width;
      const double* const sum = sums.data() + index * width;
      const bool whole = pieces[index].first == begin[centre], last = pieces[index].end == begin[centre + 1];
      for (std::size_t i = 0; i < width; ++i) mean[i] = whole ? sum[i] : mean[i] + sum[i];
      if (!last) continue;
      for (std::size_t i = 0; i < width; ++i) mean[i] /= static_cast<double>(found_.sizes[centre]);
    }
    return {};
  }

  const VectorsView& vectors_;
  int threads_;
  KMeans found_;
};

}  // namespace

Result<KMeans> k_means(const VectorsView& vectors, const KMeansOptions& asked) try {
  KMeansOptions options = asked;
  options.threads = all_cores(options.threads);
  LAYERSCOPE_TRY(check(vectors, options));
  std::vector<double> centres = std::move(options.centres);
  if (centres.empty()) {
    SplitMix64 random(options.seed);
    LAYERSCOPE_ASSIGN(const std::vector<std::size_t> rows,
                      k_means_plus_plus(vectors, options.k, random, options.threads));
    for (const std::size_t row : rows)
      centres.insert(centres.end(), vectors.row(row), vectors.row(row) + vectors.width);
  }
  return Lloyd(vectors, options.k, std::move(centres), options.threads)
      .run(std::max<std::size_t>(options.max_iterations, 1));
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "k-means: out of memory"};
}

std::vector<std::vector<std::size_t>> nearest_rows(const KMeans& clusters, std::size_t count) {
  std::vector<std::vector<std::size_t>> nearest(clusters.k);
  for (std::size_t row = 0; row < clusters.labels.size(); ++row) nearest[clusters.labels[row]].push_back(row);
  for (std::vector<std::size_t>& rows : nearest) {
    const std::size_t kept = std::min(count, rows.size());
    std::partial_sort(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(kept), rows.end(),
                      [&](std::size_t a, std::size_t b) {
                        return std::pair(clusters.distances[a], a) < std::pair(clusters.distances[b], b);
                      });
    rows.resize(kept);
  }
  return nearest;
}

}  // namespace layerscope
