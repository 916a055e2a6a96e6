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
  const std::vector<std::int64_t>& numbers;  ///< of all rows of the shard
  std::int64_t first = 0, count = 0;
  /// Where each row of the shard begins in the tensor that is asked for, in its own units; empty if a row is one unit,
  /// or if the shard lacks the tensor.
  const std::vector<std::int64_t>& offsets;
};

/// All rows of a run by number, taken as they are wanted. One shard a part is open at a time, with its row numbers and
/// one set of offsets.
class MergedRows {
 public:
  /// `run` outlives the object. `offsets_of` names the tensor of offsets, empty for none.
  MergedRows(const RunView& run, std::string offsets_of);
  ~MergedRows();
  MergedRows(const MergedRows&) = delete;
  MergedRows& operator=(const MergedRows&) = delete;
  /// The next rows, which last until the next call; nothing at the end. Errors: kDamage.
  [[nodiscard]] Result<std::optional<RowSpan>> next();

 private:
  class Part;
  std::string offsets_of_;
  std::vector<Part> parts_;
};

/// Walks all of them.
[[nodiscard]] Status for_each_row_span(const RunView& run, const std::string& offsets_of,
                                       const std::function<Status(const RowSpan&)>& visit);

}  // namespace layerscope
