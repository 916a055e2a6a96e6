#include "session/score_tiles.h"

#include "base/try.h"
#include "session/model_state.h"
#include "session/workers.h"

namespace layerscope {

namespace {

RowsView part_of(const RowsView& rows, std::int64_t first, std::int64_t count) {
  return {rows.dtype, reinterpret_cast<const std::byte*>(rows.row<float>(first)), count, rows.width, rows.stride};
}

/// Scores of one tile; `first` is the number of its first position.
Status take_tile(const Model& model, const RowsView& tile, std::int64_t first, std::vector<float>& scores,
                 const TakeScores& take) {
  const auto vocabulary = static_cast<std::size_t>(score_count(model));
  scores.resize(static_cast<std::size_t>(tile.rows) * vocabulary);
  LAYERSCOPE_TRY(model.logits(tile, rows_view(scores.data(), tile.rows, score_count(model))));
  for (std::int64_t k = 0; k < tile.rows; ++k)
    LAYERSCOPE_TRY(take(first + k, std::span(scores).subspan(static_cast<std::size_t>(k) * vocabulary, vocabulary)));
  return {};
}

}  // namespace

const Site& head_input(const Model& model) {
  const StackId stack = model.state().spec.head_stack();
  const std::vector<Site>& sites = model.sites().sites;
  return *std::find_if(sites.begin(), sites.end(),
                       [&](const Site& site) { return site.kind == SiteKind::kFinal && site.stack == stack; });
}

std::int64_t score_count(const Model& model) { return model.sites().find("logits")->width; }

Status each_score_row(const Model& model, const RowsView& finals, const TakeScores& take) {
  const std::int64_t tile = tile_positions(score_count(model), finals.rows, 1);
  std::vector<float> scores;
  for (std::int64_t first = 0; first < finals.rows; first += tile) {
    const RowsView part = part_of(finals, first, std::min(tile, finals.rows - first));
    LAYERSCOPE_TRY(take_tile(model, part, first, scores, take));
  }
  return {};
}

Status score_tiles(const Model& model, const RowsView& finals, int threads, const TakeScores& take) {
  const std::int64_t tile = tile_positions(score_count(model), finals.rows, threads);
  const auto tiles = static_cast<std::size_t>((finals.rows + tile - 1) / tile);
  return for_each_index(model, tiles, threads, [&](std::size_t index) {
    const std::int64_t first = static_cast<std::int64_t>(index) * tile;
    std::vector<float> scores;
    return take_tile(model, part_of(finals, first, std::min(tile, finals.rows - first)), first, scores, take);
  });
}

}  // namespace layerscope
