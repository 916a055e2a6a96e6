// Scores between contents and relative positions: the positions' keys and queries of a step.
#include <algorithm>
#include <numeric>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

void StackPass::look_up_relative(const Disentangled& relative) {
  relative_rows_.emplace(relative, longest_);
  relative_ = workspace_.relative.rows(operand_type_, relative_rows_->count, spec_.width);
  const MatrixView table{DType::kF32,       reinterpret_cast<const std::byte*>(weights_.relative.data()),
                         2 * relative.span, spec_.width,
                         spec_.width,       1};
  for (std::int64_t first = 0; first < relative_.rows; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, relative_.rows - first);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
    std::iota(ids.begin(), ids.end(), static_cast<std::int32_t>(relative_rows_->first + first));
    const MutableRows rows = workspace_.tables.rows(stream_type_, count, spec_.width);
    backend_.gather(table, ids, 1, false, rows);
    if (weights_.relative_norm) backend_.norm(weights_.relative_norm->view, rows.view(), rows);
    backend_.convert(rows.view(), slice(relative_, first, count));
  }
}

Status StackPass::relate(const Place& place, const Attention& attention, const Disentangled& relative) {
  if (!relative_rows_) look_up_relative(relative);
  const AttentionWeights& weights = place.weights->attention;
  const auto projected = [&](const PackedLinear& matrix, RowBuffer& buffer, MutableRows& out) -> Status {
    out = buffer.rows(stream_type_, relative_.rows, matrix.outputs);
    for (std::int64_t first = 0; first < relative_.rows; first += tile_rows_) {
      const std::int64_t count = std::min(tile_rows_, relative_.rows - first);
      LAYERSCOPE_TRY(backend_.linear(matrix, slice(relative_, first, count).view(), slice(out, first, count),
                                     *workspace_.scratch));
    }
    return {};
  };
  position_terms_ = {.rows = relative_rows_->rows.data(), .zero = relative_rows_->zero};
  const std::int64_t width = attention.heads * attention.d_qk;
  MutableRows keys, queries;
  if (relative.shared) {
    MutableRows both;
    LAYERSCOPE_TRY(projected(*weights.in, workspace_.position_keys, both));
    queries = columns(both, 0, width);
    keys = columns(both, width, width);
  } else {
    if (relative.content_to_position) LAYERSCOPE_TRY(projected(*weights.position_k, workspace_.position_keys, keys));
    if (relative.position_to_content)
      LAYERSCOPE_TRY(projected(*weights.position_q, workspace_.position_queries, queries));
  }
  if (relative.content_to_position) position_terms_.keys = keys.view();
  if (relative.position_to_content) position_terms_.queries = queries.view();
  return {};
}

}  // namespace layerscope
