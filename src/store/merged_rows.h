// The rows of all parts of a run in one order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace layerscope {

/// Rows `first` ... `first + count` of one shard, next in order.
struct RowSpan {
  const ShardReader& shard;
  std::int64_t first = 0, count = 0;
  /// Where each row of the shard begins in the tensor that is asked for, in its own units; empty if a row is one unit,
  /// or if the shard lacks the tensor.
  const std::vector<std::int64_t>& offsets;
};

/// Walks all rows of a run by number. One shard a part is open at a time, with its row numbers and one set of offsets.
/// `offsets_of` names the tensor of offsets, empty for none.
[[nodiscard]] Status for_each_row_span(const RunView& run, const std::string& offsets_of,
                                       const std::function<Status(const RowSpan&)>& visit);

}  // namespace layerscope
