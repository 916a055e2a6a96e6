#include "session/token_sink.h"

#include <algorithm>

namespace layerscope {

std::size_t sequence_of(const Batch& batch, std::uint64_t tag, std::size_t from) {
  const auto begin = batch.tags.begin(), end = batch.tags.end();
  const auto found = std::find(begin + static_cast<std::ptrdiff_t>(from), end, tag);
  return static_cast<std::size_t>((found != end ? found : std::find(begin, end, tag)) - begin);
}

TokenSink::TokenSink(const Batch& batch, StackId stack, Places places, Make make, Take take)
    : batch_(batch),
      input_(batch.inputs[static_cast<std::size_t>(stack)]),
      places_(std::move(places)),
      make_(std::move(make)),
      take_(std::move(take)) {}

Status TokenSink::accept(const StateFrame& frame) {
  if (frame.first_row == 0) {
    sequence_ = sequence_of(batch_, frame.tag, sequence_);
    const auto first = static_cast<std::size_t>(input_.offsets[sequence_]);
    length_ = input_.offsets[sequence_ + 1] - input_.offsets[sequence_];
    kept_ = places_(std::span(input_.ids).subspan(first, static_cast<std::size_t>(length_)));
    vectors_.clear();
    next_ = 0;
  }
  const std::int64_t end = frame.first_row + frame.rows.rows;
  for (; next_ < kept_.size() && kept_[next_] < end; ++next_) {
    const float* state = frame.rows.row<float>(kept_[next_] - frame.first_row);
    const std::vector<float> vector = make_({state, static_cast<std::size_t>(frame.rows.width)});
    vectors_.insert(vectors_.end(), vector.begin(), vector.end());
  }
  return end == length_ ? take_(frame.tag, vectors_) : Status();
}

}  // namespace layerscope
