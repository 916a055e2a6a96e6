#include "session/sparse_sink.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/try.h"
#include "session/model_state.h"
#include "session/token_sink.h"

namespace layerscope {
namespace {

constexpr std::int64_t kScoreRows = 16;  // tokens whose scores are held at a time

double weight_of(const SpladeHead& head, double score) {
  if (!(score > 0)) return 0;
  const double weight = std::log1p(score);
  return head.twice ? std::log1p(weight) : weight;
}

}  // namespace

SparseSink::SparseSink(const Model& model, const SparseVectors& vectors, const Batch& batch, StackId stack, Take take)
    : model_(model),
      vectors_(vectors),
      batch_(batch),
      input_(batch.inputs[static_cast<std::size_t>(stack)]),
      take_(std::move(take)),
      weights_(static_cast<std::size_t>(model.info().vocabulary_size)) {}

Status SparseSink::accept(const StateFrame& frame) {
  if (frame.first_row == 0) {
    sequence_ = sequence_of(batch_, frame.tag, sequence_);
    length_ = input_.offsets[sequence_ + 1] - input_.offsets[sequence_];
    std::fill(weights_.begin(), weights_.end(), 0.0);
  }
  LAYERSCOPE_TRY(std::visit([&](const auto& head) { return add(head, frame); }, vectors_.head));
  return frame.first_row + frame.rows.rows == length_ ? finish(frame.tag) : Status();
}

Status SparseSink::add(const SpladeHead& head, const StateFrame& frame) {
  const auto width = static_cast<std::int64_t>(weights_.size());
  for (std::int64_t first = 0; first < frame.rows.rows; first += kScoreRows) {
    const std::int64_t count = std::min(kScoreRows, frame.rows.rows - first);
    scores_.resize(static_cast<std::size_t>(count * width));
    RowsView states = frame.rows;
    states.data = reinterpret_cast<const std::byte*>(frame.rows.row<float>(first));
    states.rows = count;
    const MutableRows scores{DType::kF32, reinterpret_cast<std::byte*>(scores_.data()), count, width, width};
    LAYERSCOPE_TRY(model_.logits(states, scores));
    for (std::int64_t row = 0; row < count; ++row) {
      const float* of_token = scores.row<float>(row);
      // The logarithm grows with its argument, so that the largest score gives the largest weight.
      for (std::size_t id = 0; id < weights_.size(); ++id) {
        const auto score = static_cast<double>(of_token[id]);
        weights_[id] = head.sum ? weights_[id] + weight_of(head, score) : std::max(weights_[id], score);
      }
    }
  }
  return {};
}

Status SparseSink::add(const LexicalHead& head, const StateFrame& frame) {
  const ModelState& state = model_.state();
  const auto first = static_cast<std::size_t>(input_.offsets[sequence_] + frame.first_row);
  for (std::int64_t row = 0; row < frame.rows.rows; ++row) {
    const std::int32_t id = input_.ids[first + static_cast<std::size_t>(row)];
    const bool special = state.tokenizer ? state.tokenizer->is_special(id) : state.special_ids.contains(id);
    if (special) continue;
    const float* values = frame.rows.row<float>(row);
    double weight = static_cast<double>(head.bias);
    for (std::size_t i = 0; i < head.weight.size(); ++i)
      weight += static_cast<double>(values[i]) * static_cast<double>(head.weight[i]);
    double& largest = weights_[static_cast<std::size_t>(id)];
    largest = std::max(largest, weight);
  }
  return {};
}

// torch.topk leaves open which of equal weights are kept; here those with the lower ids.
void SparseSink::keep_most_active() {
  if (!vectors_.most_active || static_cast<std::int64_t>(ids_.size()) <= *vectors_.most_active) return;
  std::vector<std::size_t> order(ids_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values_[a] > values_[b]; });
  order.resize(static_cast<std::size_t>(*vectors_.most_active));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) {
    ids_[i] = ids_[order[i]];
    values_[i] = values_[order[i]];
  }
  ids_.resize(order.size());
  values_.resize(order.size());
}

Status SparseSink::finish(std::uint64_t tag) {
  const auto* splade = std::get_if<SpladeHead>(&vectors_.head);
  ids_.clear();
  values_.clear();
  for (std::size_t id = 0; id < weights_.size(); ++id) {
    const double weight = splade != nullptr && !splade->sum ? weight_of(*splade, weights_[id]) : weights_[id];
    const auto value = static_cast<float>(weight);
    if (!(value > 0)) continue;
    ids_.push_back(static_cast<std::int32_t>(id));
    values_.push_back(value);
  }
  keep_most_active();
  return take_(tag, ids_, values_);
}

}  // namespace layerscope
