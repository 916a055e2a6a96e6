// One vector of a sequence's rows: the pooling formulas, once for every place that pools.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "layerscope/tap.h"

namespace layerscope {

/// Takes a sequence's rows in token order. Sums run in that order and in float64, so that the bits depend on the
/// sequence alone. (sentence_transformers 6.2, sentence_transformer/modules/pooling.py)
///
/// The first `skip` rows are left out: `cls` is then the first one behind them, `weightedmean` goes on counting
/// positions from the sequence's start; where nothing is left, means and `last` are 0 and `cls` is the sequence's first
/// row.
class RowPool {
 public:
  /// Starts a sequence of `length` rows.
  void begin(Pooling kind, std::int64_t width, std::int64_t length, std::int64_t skip = 0);
  void add(const float* row, std::int64_t position);
  /// The pooled row, once all rows were added; valid until the next begin().
  [[nodiscard]] std::span<const float> finish();

 private:
  Pooling kind_ = Pooling::kNone;
  std::int64_t length_ = 0, skip_ = 0;
  std::vector<double> sum_;
  std::vector<float> row_;
};

}  // namespace layerscope
