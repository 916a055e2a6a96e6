#include "analysis/kmeans_seeding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "analysis/blocks.h"
#include "analysis/distance.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

class Seeding {
 public:
  Seeding(const VectorsView& vectors, int threads)
      : vectors_(vectors),
        threads_(threads),
        nearest_(vectors.rows(), std::numeric_limits<double>::infinity()),
        block_sums_(block_count(vectors.rows())) {}

  /// Adds a centre: a row's distance to its nearest one may shrink.
  Status add(std::size_t centre) {
    return for_each_parallel(block_sums_.size(), threads_, [&](std::size_t block) -> Status {
      double sum = 0;
      const RowRange range = block_of(block, vectors_.rows());
      for (std::size_t row = range.first; row < range.end; ++row) {
        nearest_[row] = std::min(nearest_[row], distance(row, centre));
        sum += nearest_[row];
      }
      block_sums_[block] = sum;
      return {};
    });
  }
  /// What is left to explain.
  [[nodiscard]] double potential() const { return std::accumulate(block_sums_.begin(), block_sums_.end(), 0.0); }

  /// A row, by its share of the potential, which is not 0.
  [[nodiscard]] std::size_t draw(SplitMix64& random) const {
    double left = random.unit() * potential();
    std::size_t block = 0;
    while (block + 1 < block_sums_.size() && left >= block_sums_[block]) left -= block_sums_[block++];
    while (block_sums_[block] == 0) --block;  // rounding may lead past the last row that counts
    const RowRange range = block_of(block, vectors_.rows());
    std::size_t drawn = range.first;
    for (std::size_t row = range.first; row < range.end; ++row) {
      if (nearest_[row] == 0) continue;
      drawn = row;
      left -= nearest_[row];
      if (left < 0) break;
    }
    return drawn;
  }

  /// The one of these rows that leaves the smallest potential as the next centre; of equal ones the first.
  Result<std::size_t> best_of(const std::vector<std::size_t>& rows) const {
    std::vector<double> sums(block_sums_.size() * rows.size());
    LAYERSCOPE_TRY(for_each_parallel(block_sums_.size(), threads_, [&](std::size_t block) -> Status {
      double* const own = sums.data() + block * rows.size();
      const RowRange range = block_of(block, vectors_.rows());
      for (std::size_t row = range.first; row < range.end; ++row) {
        for (std::size_t k = 0; k < rows.size(); ++k) own[k] += std::min(nearest_[row], distance(row, rows[k]));
      }
      return {};
    }));
    std::vector<double> potentials(rows.size());
    for (std::size_t i = 0; i < sums.size(); ++i) potentials[i % rows.size()] += sums[i];
    return rows[static_cast<std::size_t>(std::min_element(potentials.begin(), potentials.end()) - potentials.begin())];
  }

 private:
  [[nodiscard]] double distance(std::size_t a, std::size_t b) const {
    return squared_distance(vectors_.row(a), vectors_.row(b), vectors_.width);
  }
  const VectorsView& vectors_;
  int threads_;
  std::vector<double> nearest_;     ///< of each row, to the centre nearest to it
  std::vector<double> block_sums_;  ///< of `nearest_`
};

}  // namespace

Result<std::vector<std::size_t>> k_means_plus_plus(const VectorsView& vectors, std::size_t k, SplitMix64& random,
                                                   int threads) {
  Seeding seeding(vectors, threads);
  const auto draws = 2 + static_cast<std::size_t>(std::log(static_cast<double>(k)));
  std::vector<std::size_t> centres = {static_cast<std::size_t>(random.below(vectors.rows()))};
  LAYERSCOPE_TRY(seeding.add(centres.front()));
  std::vector<std::size_t> drawn(draws);
  while (centres.size() < k) {
    if (seeding.potential() == 0) {
      return Error{ErrorCode::kUsage, "only " + std::to_string(centres.size()) + " of " +
                                          std::to_string(vectors.rows()) + " rows are distinct, too few for " +
                                          std::to_string(k) + " clusters"};
    }
    for (std::size_t& row : drawn) row = seeding.draw(random);
    LAYERSCOPE_ASSIGN(const std::size_t best, seeding.best_of(drawn));
    LAYERSCOPE_TRY(seeding.add(best));
    centres.push_back(best);
  }
  return centres;
}

}  // namespace layerscope
