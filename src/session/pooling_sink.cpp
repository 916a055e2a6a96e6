#include "session/pooling_sink.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/try.h"

namespace layerscope {

PoolingSink::PoolingSink(const std::vector<Pooling>& modes, std::int64_t skip, const Batch& batch, StackId stack,
                         Take take)
    : modes_(modes),
      skip_(skip),
      batch_(batch),
      offsets_(batch.inputs[static_cast<std::size_t>(stack)].offsets),
      take_(std::move(take)) {}

bool PoolingSink::has(Pooling mode) const noexcept {
  return std::find(modes_.begin(), modes_.end(), mode) != modes_.end();
}

Status PoolingSink::accept(const StateFrame& frame) {
  if (frame.first_row == 0) {
    const auto found =
        std::find(batch_.tags.begin() + static_cast<std::ptrdiff_t>(sequence_), batch_.tags.end(), frame.tag);
    const auto place =
        found != batch_.tags.end() ? found : std::find(batch_.tags.begin(), batch_.tags.end(), frame.tag);
    sequence_ = static_cast<std::size_t>(place - batch_.tags.begin());
    begin(offsets_[sequence_ + 1] - offsets_[sequence_], static_cast<std::size_t>(frame.rows.width));
  }
  for (std::int64_t i = 0; i < frame.rows.rows; ++i) add(frame.rows.row<float>(i), frame.first_row + i);
  return open_.seen == open_.length ? finish(frame.tag) : Status();
}

void PoolingSink::begin(std::int64_t length, std::size_t width) {
  open_.seen = 0;
  open_.length = length;
  open_.sum.assign(width, 0.0);
  open_.weighted.assign(width, 0.0);
  open_.highest.assign(width, -std::numeric_limits<double>::infinity());
  open_.first.assign(width, 0.0F);
  open_.last.assign(width, 0.0F);
}

void PoolingSink::add(const float* row, std::int64_t position) {
  ++open_.seen;
  const std::size_t width = open_.sum.size();
  if (position == 0 || position == skip_) std::copy(row, row + width, open_.first.begin());
  if (position < skip_) return;
  if (position + 1 == open_.length) std::copy(row, row + width, open_.last.begin());
  if (has(Pooling::kMean) || has(Pooling::kMeanSqrt)) {
    for (std::size_t j = 0; j < width; ++j) open_.sum[j] += static_cast<double>(row[j]);
  }
  if (has(Pooling::kWeightedMean)) {
    const auto weight = static_cast<double>(position + 1);
    for (std::size_t j = 0; j < width; ++j) open_.weighted[j] += weight * static_cast<double>(row[j]);
  }
  if (has(Pooling::kMax)) {
    for (std::size_t j = 0; j < width; ++j) open_.highest[j] = std::max(open_.highest[j], static_cast<double>(row[j]));
  }
}

Status PoolingSink::finish(std::uint64_t tag) {
  const std::int64_t left = std::max<std::int64_t>(open_.length - skip_, 0);
  if (left == 0 && has(Pooling::kMax)) {
    return Error{ErrorCode::kRuntime, "row " + std::to_string(batch_.rows[sequence_]) +
                                          " has no token left behind its prompt, so that there is no maximum to pool"};
  }
  const auto tokens = static_cast<double>(std::max<std::int64_t>(left, 1));
  const auto length = static_cast<double>(open_.length), skipped = static_cast<double>(std::min(skip_, open_.length));
  const double weights = left == 0 ? 1.0 : (length * (length + 1) - skipped * (skipped + 1)) / 2;
  pooled_.clear();
  const auto divided = [&](const std::vector<double>& values, double divisor) {
    for (const double value : values) pooled_.push_back(static_cast<float>(value / divisor));
  };
  for (const Pooling mode : modes_) {
    switch (mode) {
      case Pooling::kNone: break;
      case Pooling::kCls: pooled_.insert(pooled_.end(), open_.first.begin(), open_.first.end()); break;
      case Pooling::kLast: pooled_.insert(pooled_.end(), open_.last.begin(), open_.last.end()); break;
      case Pooling::kMean: divided(open_.sum, tokens); break;
      case Pooling::kMeanSqrt: divided(open_.sum, std::sqrt(tokens)); break;
      case Pooling::kWeightedMean: divided(open_.weighted, weights); break;
      case Pooling::kMax: divided(open_.highest, 1.0); break;
    }
  }
  return take_(tag, pooled_);
}

}  // namespace layerscope
