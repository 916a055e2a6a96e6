#include "tap/pool.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace layerscope {

void RowPool::begin(Pooling kind, std::int64_t width, std::int64_t length, std::int64_t skip) {
  kind_ = kind;
  length_ = length;
  skip_ = skip;
  sum_.assign(static_cast<std::size_t>(width), kind == Pooling::kMax ? -std::numeric_limits<double>::infinity() : 0.0);
}

void RowPool::add(const float* row, std::int64_t position) {
  const std::size_t width = sum_.size();
  if (kind_ == Pooling::kCls && (position == 0 || position == skip_)) std::copy(row, row + width, sum_.begin());
  if (position < skip_) return;
  switch (kind_) {
    case Pooling::kNone:
    case Pooling::kCls: break;
    case Pooling::kLast:
      if (position + 1 == length_) std::copy(row, row + width, sum_.begin());
      break;
    case Pooling::kMax:
      for (std::size_t j = 0; j < width; ++j) sum_[j] = std::max(sum_[j], static_cast<double>(row[j]));
      break;
    case Pooling::kMean:
    case Pooling::kMeanSqrt:
      for (std::size_t j = 0; j < width; ++j) sum_[j] += static_cast<double>(row[j]);
      break;
    case Pooling::kWeightedMean:
      for (std::size_t j = 0; j < width; ++j)
        sum_[j] += static_cast<double>(position + 1) * static_cast<double>(row[j]);
      break;
  }
}

std::span<const float> RowPool::finish() {
  const std::int64_t left = std::max<std::int64_t>(length_ - skip_, 0);
  const auto tokens = static_cast<double>(std::max<std::int64_t>(left, 1));
  const auto length = static_cast<double>(length_), skipped = static_cast<double>(std::min(skip_, length_));
  double divisor = 1;
  if (kind_ == Pooling::kMean) divisor = tokens;
  if (kind_ == Pooling::kMeanSqrt) divisor = std::sqrt(tokens);
  if (kind_ == Pooling::kWeightedMean && left > 0) divisor = (length * (length + 1) - skipped * (skipped + 1)) / 2;
  row_.resize(sum_.size());
  for (std::size_t j = 0; j < row_.size(); ++j) row_[j] = static_cast<float>(sum_[j] / divisor);
  return row_;
}

}  // namespace layerscope
