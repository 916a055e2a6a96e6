// Queries, keys and values through narrow matrices, unpacked into what the common path of attention takes.
#include <algorithm>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

Status StackPass::project_latent(const Place& place, const Attention& attention, const MutableRows& q,
                                 const MutableRows& k, const MutableRows& v) {
  const LatentProjection& latent = *attention.latent;
  const LatentWeights& weights = *place.weights->attention.latent;
  const std::int64_t kept = attention.d_qk - latent.rotated, group = kept + attention.d_v;
  const std::int64_t q_width = latent.q_rank.value_or(attention.heads * attention.d_qk);
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    const MutableRows tile_q = slice(q, first, count), tile_k = slice(k, first, count), tile_v = slice(v, first, count);
    const MutableRows ranks = workspace_.ranks.rows(stream_type_, count, q_width + latent.kv_rank + latent.rotated);
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), ranks, *workspace_.scratch));
    if (latent.q_rank) {
      const MutableRows normed = workspace_.normed_ranks.rows(operand_type_, count, *latent.q_rank);
      backend_.norm(weights.q_norm->view, columns(ranks, 0, *latent.q_rank).view(), normed);
      LAYERSCOPE_TRY(backend_.linear(*weights.q_up, normed.view(), tile_q, *workspace_.scratch));
    } else {
      backend_.convert(columns(ranks, 0, q_width).view(), tile_q);
    }
    const MutableRows normed = workspace_.normed_ranks.rows(operand_type_, count, latent.kv_rank);
    backend_.norm(weights.kv_norm->view, columns(ranks, q_width, latent.kv_rank).view(), normed);
    const MutableRows wide = workspace_.unpacked.rows(stream_type_, count, attention.heads * group);
    LAYERSCOPE_TRY(backend_.linear(*weights.kv_up, normed.view(), wide, *workspace_.scratch));
    const RowsView rotated = columns(ranks, q_width + latent.kv_rank, latent.rotated).view();
    for (std::int64_t head = 0; head < attention.heads; ++head) {
      const std::int64_t at = head * attention.d_qk;
      backend_.convert(columns(wide, head * group, kept).view(), columns(tile_k, at, kept));
      backend_.convert(rotated, columns(tile_k, at + kept, latent.rotated));
      backend_.convert(columns(wide, head * group + kept, attention.d_v).view(),
                       columns(tile_v, head * attention.d_v, attention.d_v));
    }
  }
  return {};
}

}  // namespace layerscope
