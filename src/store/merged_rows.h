// The rows of all parts of a run in one order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace layerscope {

/// A shard whose rows are walked.
struct RowShard {
  ShardReader reader;
  std::vector<std::int64_t> numbers;  ///< of all its rows
  /// Where each row begins in the tensors that are asked for, in their own units, by the order of asking; empty where
  /// the shard lacks the tensor.
  std::vector<std::vector<std::int64_t>> offsets;
};

/// Rows `first` ... `first + count` of one shard, next in order. Whoever keeps it keeps the shard open.
struct RowSpan {
  std::shared_ptr<const RowShard> shard;
  std::int64_t first = 0, count = 0;
  [[nodiscard]] std::int64_t number(std::int64_t row) const { return shard->numbers[static_cast<std::size_t>(row)]; }
};

/// All rows of a run by number, taken as they are wanted. One shard a part is open at a time, with its row numbers and
/// offsets.
class MergedRows {
 public:
  /// `run` outlives the object. `offsets_of` names tensors of offsets.
  MergedRows(const RunView& run, std::vector<std::string> offsets_of);
  ~MergedRows();
  MergedRows(const MergedRows&) = delete;
  MergedRows& operator=(const MergedRows&) = delete;
  /// The next rows; nothing at the end. Errors: kDamage.
  [[nodiscard]] Result<std::optional<RowSpan>> next();

 private:
  class Part;
  std::vector<std::string> offsets_of_;
  std::vector<Part> parts_;
};

/// Walks all of them.
[[nodiscard]] Status for_each_row_span(const RunView& run, const std::vector<std::string>& offsets_of,
                                       const std::function<Status(const RowSpan&)>& visit);

}  // namespace layerscope
