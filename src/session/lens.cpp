#include "session/lens.h"

#include <algorithm>
#include <new>

#include "base/try.h"
#include "session/model_state.h"
#include "session/score_tiles.h"
#include "session/whole_states.h"
#include "session/workers.h"

namespace layerscope {
namespace {

std::string list_of(std::span<const std::int32_t> positions) {
  std::string text;
  for (const std::int32_t position : positions) text += (text.empty() ? "" : ",") + std::to_string(position);
  return text;
}

}  // namespace

Result<std::string> layers_of_stack(const Model& model, StackId stack, const std::string& list) {
  if (!model.info().two_stacks) return list;
  const std::string_view prefix = stack == StackId::kDecoder ? "dec:" : "enc:";
  const std::string_view other = stack == StackId::kDecoder ? "enc:" : "dec:";
  if (list.find(other) != std::string::npos) {
    return Error{ErrorCode::kUsage, "--layers " + list + ": the head stands on the " +
                                        (stack == StackId::kDecoder ? "decoder" : "encoder") + ", expected its layers"};
  }
  return list.starts_with(prefix) ? list : std::string(prefix) + list;
}

Result<Lens> Lens::open(const Model& model, const LensOptions& options, const TunedLens* tuned) {
  LAYERSCOPE_TRY(model.load_head());
  Lens lens(model, options, tuned);
  LAYERSCOPE_TRY(lens.compile());
  return lens;
}

Status Lens::compile() {
  stack_ = head_input(model_).stack;
  LAYERSCOPE_ASSIGN(const std::string asked, layers_of_stack(model_, stack_, options_.layers));
  LAYERSCOPE_ASSIGN(const TapPlan shown, TapPlan::compile(model_.sites(), {.layers = asked}));
  layers_ = asked + ",-1";
  const TapRequest request{.layers = layers_, .positions = options_.positions, .seed = options_.seed};
  LAYERSCOPE_ASSIGN(picks_, TapPlan::compile(model_.sites(), request));
  LAYERSCOPE_ASSIGN(edits_, EditPlan::compile(model_.sites(), options_.edits));
  for (const StoredSite& site : picks_.stored()) {
    const auto same = [&](const StoredSite& other) { return other.name == site.name; };
    layer_.push_back({.site = site,
                      .finished = model_.sites().find(site.name)->kind == SiteKind::kFinal,
                      .shown = std::any_of(shown.stored().begin(), shown.stored().end(), same)});
  }
  return {};
}

Result<LensRow> Lens::look(const ModelRow& row, std::int64_t number) const try {
  const Tokens& tokens = row.decoder ? *row.decoder : row.main;
  const auto length = static_cast<std::int64_t>(tokens.ids.size());
  LensRow result;
  if (picks_.has_picks()) {
    result.positions = picks_.picks(number, length);
  } else {
    for (std::int64_t k = 0; k < length; ++k) result.positions.push_back(static_cast<std::int32_t>(k));
  }
  result.answers.resize(result.positions.size());
  for (const Layer& layer : layer_)
    result.layers.push_back({layer.site.name, layer.site.hf_index, std::vector<Prediction>(result.positions.size())});

  std::int64_t elements = 0;  // of one position's streams
  for (const Layer& layer : layer_) elements += layer.site.width;
  const auto most = static_cast<std::size_t>(std::max<std::int64_t>(1, options_.held_elements / elements));
  for (std::size_t first = 0; first < result.positions.size(); first += most) {
    const std::span<const std::int32_t> part =
        std::span(result.positions).subspan(first, std::min(most, result.positions.size() - first));
    LAYERSCOPE_ASSIGN(const TapPlan plan,
                      TapPlan::compile(model_.sites(), {.layers = layers_, .positions = list_of(part)}));
    LAYERSCOPE_ASSIGN(const std::vector<RowStates> states, whole_states(model_, plan, {{row, number}}, 1, &edits_));
    LAYERSCOPE_TRY(look_at(states.front(), first, result));
  }
  std::erase_if(result.layers, [&](const LensLayer& layer) {
    const auto own = [&](const Layer& other) { return other.site.name == layer.site; };
    return !std::find_if(layer_.begin(), layer_.end(), own)->shown;
  });
  return result;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while the lens looked at row " + std::to_string(number)};
}

Status Lens::look_at(const RowStates& states, std::size_t first, LensRow& into) const {
  const std::int64_t positions = states.sites.back().rows;
  const std::int64_t tile = tile_positions(score_count(model_), positions, options_.threads);
  const auto tiles = static_cast<std::size_t>((positions + tile - 1) / tile);
  return for_each_index(model_, tiles, options_.threads, [&](std::size_t index) {
    const std::int64_t at = static_cast<std::int64_t>(index) * tile;
    return look_at_tile(states, at, std::min(tile, positions - at), first + static_cast<std::size_t>(at), into);
  });
}

Status Lens::look_at_tile(const RowStates& states, std::int64_t first, std::int64_t count, std::size_t into_at,
                          LensRow& into) const {
  const auto vocabulary = static_cast<std::size_t>(score_count(model_));
  const auto rows = static_cast<std::size_t>(count);
  std::vector<float> own(rows * vocabulary);
  std::vector<float> scores(rows * vocabulary);
  std::vector<double> softmax(rows * vocabulary);
  std::vector<Distribution> of(rows);
  const auto row_of = [&](auto& values, std::size_t k) {
    return std::span(values).subspan(k * vocabulary, vocabulary);
  };
  for (std::size_t back = 0; back < layer_.size(); ++back) {  // the model's own output first: the others need it
    const std::size_t layer = back == 0 ? layer_.size() - 1 : back - 1;
    const StateBlock& block = states.sites[layer];
    const float* const streams = block.values.data() + first * block.width;
    if (layer + 1 < layer_.size() && !layer_[layer].shown) continue;
    std::vector<float>& here = back == 0 ? own : scores;
    LAYERSCOPE_TRY(scores_of(layer, rows_view(streams, count, block.width), here));
    for (std::size_t k = 0; k < rows; ++k) {
      const std::span<const float> row = row_of(here, k);
      const Distribution distribution_here = distribution(row);
      if (back == 0) {
        of[k] = distribution_here;
        probabilities(row, of[k], row_of(softmax, k));
        into.answers[into_at + k] = best_id(row);
      }
      const std::int32_t answer = into.answers[into_at + k];
      Prediction& prediction = into.layers[layer].positions[into_at + k];
      prediction.top = top_scores(row, options_.top);
      prediction.of = distribution_here;
      prediction.answer_p = distribution_here.probability(row[static_cast<std::size_t>(answer)]);
      prediction.rank = rank_of(row, answer);
      prediction.kl = divergence({row_of(own, k), of[k]}, row_of(softmax, k), {row, distribution_here});
    }
  }
  return {};
}

Status Lens::scores_of(std::size_t layer, const RowsView& streams, std::vector<float>& scores) const {
  const MutableRows out = rows_view(scores.data(), streams.rows, score_count(model_));
  if (layer_[layer].finished) return model_.logits(streams, out);
  std::vector<float> mapped;
  RowsView from = streams;
  if (tuned_ != nullptr) {
    mapped.assign(streams.row<float>(0), streams.row<float>(0) + streams.rows * streams.width);
    tuned_->apply(layer_[layer].site.name, mapped);
    from = rows_view(static_cast<const float*>(mapped.data()), streams.rows, streams.width);
  }
  const std::int64_t width = layer_.back().site.width;
  std::vector<float> finals(static_cast<std::size_t>(streams.rows * width));
  LAYERSCOPE_TRY(model_.finish(stack_, from, rows_view(finals.data(), streams.rows, width)));
  return model_.logits(rows_view(static_cast<const float*>(finals.data()), streams.rows, width), out);
}

}  // namespace layerscope
