#include "session/pooling_sink.h"

#include <algorithm>

#include "base/try.h"
#include "session/token_sink.h"

namespace layerscope {

PoolingSink::PoolingSink(const std::vector<Pooling>& modes, std::int64_t skip, const Batch& batch, StackId stack,
                         Take take)
    : modes_(modes),
      skip_(skip),
      batch_(batch),
      offsets_(batch.inputs[static_cast<std::size_t>(stack)].offsets),
      take_(std::move(take)),
      pools_(modes.size()) {}

Status PoolingSink::accept(const StateFrame& frame) {
  if (frame.first_row == 0) {
    sequence_ = sequence_of(batch_, frame.tag, sequence_);
    length_ = offsets_[sequence_ + 1] - offsets_[sequence_];
    for (std::size_t mode = 0; mode < modes_.size(); ++mode)
      pools_[mode].begin(modes_[mode], frame.rows.width, length_, skip_);
  }
  for (RowPool& pool : pools_) {
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) pool.add(frame.rows.row<float>(i), frame.first_row + i);
  }
  return frame.first_row + frame.rows.rows == length_ ? finish(frame.tag) : Status();
}

Status PoolingSink::finish(std::uint64_t tag) {
  if (skip_ >= length_ && std::find(modes_.begin(), modes_.end(), Pooling::kMax) != modes_.end()) {
    return Error{ErrorCode::kRuntime, "row " + std::to_string(batch_.rows[sequence_]) +
                                          " has no token left behind its prompt, so that there is no maximum to pool"};
  }
  pooled_.clear();
  for (RowPool& pool : pools_) {
    const std::span<const float> part = pool.finish();
    pooled_.insert(pooled_.end(), part.begin(), part.end());
  }
  return take_(tag, pooled_);
}

}  // namespace layerscope
