// Scores over the vocabulary, a tile of positions at a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layerscope/model.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// Positions whose scores one worker holds at a time: about 32 MB of float32, fewer where a row's few positions are to
/// be shared among the workers. At least 1. The scores do not depend on it.
[[nodiscard]] inline std::int64_t tile_positions(std::int64_t vocabulary, std::int64_t positions, int threads) {
  constexpr std::int64_t kElements = std::int64_t{8} << 20;
  const std::int64_t share = (positions + threads - 1) / std::max(threads, 1);
  return std::clamp<std::int64_t>(kElements / std::max<std::int64_t>(vocabulary, 1), 1,
                                  std::max<std::int64_t>(share, 1));
}

/// Row-major float32 rows of one's own.
[[nodiscard]] inline RowsView rows_view(const float* values, std::int64_t rows, std::int64_t width) {
  return {DType::kF32, reinterpret_cast<const std::byte*>(values), rows, width, width};
}
[[nodiscard]] inline MutableRows rows_view(float* values, std::int64_t rows, std::int64_t width) {
  return {DType::kF32, reinterpret_cast<std::byte*>(values), rows, width, width};
}

/// The final site of the stack that the head stands on: what Model::logits reads.
[[nodiscard]] const Site& head_input(const Model& model);
/// How many scores a position has. Only for a model with a head.
[[nodiscard]] std::int64_t score_count(const Model& model);

/// Called with a position of `finals` and its scores, once for each position; by score_tiles from several threads.
using TakeScores = std::function<Status(std::int64_t position, std::span<const float> scores)>;

/// Gives every row of `finals` [positions, final width] float32 its scores, in order, on the calling thread, which has
/// entered the model. Errors: those of Model::logits and of `take`.
[[nodiscard]] Status each_score_row(const Model& model, const RowsView& finals, const TakeScores& take);
/// The same by several threads.
[[nodiscard]] Status score_tiles(const Model& model, const RowsView& finals, int threads, const TakeScores& take);

}  // namespace layerscope
