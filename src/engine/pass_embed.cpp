// The start of a stack: from ids to the stream.
#include <algorithm>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

std::vector<std::int32_t> StackPass::position_rows(const PositionTable& table) const {
  std::vector<std::int32_t> rows;
  rows.reserve(static_cast<std::size_t>(tokens_));
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    std::int64_t position = past(s);
    for (std::int64_t i = input_.offsets[s]; i < input_.offsets[s + 1]; ++i) {
      const bool skipped = table.skipped_id && input_.ids[static_cast<std::size_t>(i)] == *table.skipped_id;
      rows.push_back(static_cast<std::int32_t>(skipped ? table.offset - 1 : table.offset + position));
      if (!skipped) ++position;
    }
  }
  return rows;
}

std::vector<float> StackPass::rescaled(const MaskRescale& rescale) const {
  std::vector<float> factors;
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const auto begin = input_.ids.begin() + input_.offsets[s], end = input_.ids.begin() + input_.offsets[s + 1];
    const auto masked = static_cast<float>(std::count(begin, end, rescale.mask_id));
    const float share = masked / static_cast<float>(end - begin);
    for (auto id = begin; id != end; ++id)
      factors.push_back(*id == rescale.mask_id ? 0.0F : rescale.trained_share / (1.0F - share));
  }
  return factors;
}

void StackPass::look_up(std::int64_t first, const MutableRows& out, bool tokens, bool others) {
  const Embedding& embedding = stack_.embedding;
  const auto from = static_cast<std::size_t>(first), count = static_cast<std::size_t>(out.rows);
  if (tokens) {
    backend_.gather(weights_.token, std::span(input_.ids).subspan(from, count), embedding.scale, false, out);
    if (!token_factors_.empty()) backend_.scale_rows(std::span(token_factors_).subspan(from, count), out);
  }
  if (!others) return;
  if (embedding.types > 0) {
    std::vector<std::int32_t> types(count, 0);
    if (!input_.type_ids.empty()) std::copy_n(input_.type_ids.begin() + first, out.rows, types.begin());
    backend_.gather(weights_.type, types, 1, true, out);
  }
  if (embedding.positions && !embedding.positions->behind_norm) add_positions(first, out);
  if (embedding.tasks > 0) backend_.gather(weights_.task, std::vector<std::int32_t>(count, 0), 1, true, out);
}

void StackPass::add_positions(std::int64_t first, const MutableRows& out) {
  const auto rows =
      std::span(position_rows_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(out.rows));
  backend_.gather(weights_.position, rows, 1, true, out);
}

Status StackPass::embed() {
  using At = EmbeddingProjection::At;
  const Embedding& embedding = stack_.embedding;
  if (embedding.positions) position_rows_ = position_rows(*embedding.positions);
  if (embedding.rescale) token_factors_ = rescaled(*embedding.rescale);
  const NormView* norm = weights_.embed_norm ? &weights_.embed_norm->view : nullptr;
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    const MutableRows x = slice(x_, first, count);
    if (embedding.projection) {
      const At at = embedding.projection->at;
      const MutableRows tables = workspace_.tables.rows(stream_type_, count, embedding.projection->width);
      look_up(first, tables, true, at != At::kTokens);
      if (at == At::kNormed && norm != nullptr) backend_.norm(*norm, tables.view(), tables);
      const MutableRows in = workspace_.tile_in.rows(operand_type_, count, tables.width);
      backend_.convert(tables.view(), in);
      LAYERSCOPE_TRY(backend_.linear(*weights_.embed_projection, in.view(), x, *workspace_.scratch));
      if (at == At::kTokens) look_up(first, x, false, true);
      if (at != At::kNormed && norm != nullptr) backend_.norm(*norm, x.view(), x);
    } else {
      look_up(first, x, true, true);
      if (norm != nullptr) backend_.norm(*norm, x.view(), x);
    }
    if (embedding.positions && embedding.positions->behind_norm) add_positions(first, x);
  }
  LAYERSCOPE_TRY(edit(-1, -1, SiteKind::kEmbed, 0, x_));
  LAYERSCOPE_TRY(check(x_.view(), 0, qualified("embed"), input_.offsets));
  return show(plan_.wants(id_, -1, -1, SiteKind::kEmbed), 0, x_.view());
}

}  // namespace layerscope
