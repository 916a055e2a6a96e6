// Which row of a table of relative positions a distance takes.
#pragma once

#include <cstdint>
#include <vector>

#include "spec/spec.h"

namespace layerscope {

/// The row for a query that stands `distance` tokens behind a key (before it, where negative). (transformers,
/// make_log_bucket_position, in its float32)
[[nodiscard]] std::int64_t relative_row(const Disentangled& relative, std::int64_t distance);

/// The rows of all distances in sequences of up to `longest` tokens.
struct RelativeRows {
  std::vector<std::int32_t> rows;  ///< [2 * longest - 1] for key position minus query position, counted from `first`
  std::int64_t zero = 0;           ///< where distance 0 stands in `rows`
  std::int64_t first = 0;          ///< row of the table that any distance takes
  std::int64_t count = 0;          ///< rows from the first to the last that is taken
  RelativeRows(const Disentangled& relative, std::int64_t longest);
};

}  // namespace layerscope
