// A router and its experts within a pass: tile by tile, every expert on the rows that chose it.
#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {
namespace {

RoutingArguments arguments_of(const Router& router, const std::vector<float>& correction) {
  RoutingArguments arguments{.chosen = router.chosen,
                             .renormalise = router.renormalise,
                             .scale = router.scale,
                             .groups = router.groups,
                             .chosen_groups = router.chosen_groups,
                             .correction = correction.empty() ? nullptr : correction.data()};
  switch (router.rule) {
    case Router::Rule::kSoftmaxThenTop: arguments.rule = RoutingArguments::Rule::kSoftmaxThenTop; break;
    case Router::Rule::kTopThenSoftmax: arguments.rule = RoutingArguments::Rule::kTopThenSoftmax; break;
    case Router::Rule::kSigmoidGroups: arguments.rule = RoutingArguments::Rule::kSigmoidGroups; break;
  }
  return arguments;
}

// The rows that chose an expert, in rising order, each with its weight.
struct Chosen {
  std::vector<std::int32_t> rows;
  std::vector<float> weights;
};

std::vector<Chosen> by_expert(const Router& router, const std::vector<std::int32_t>& ids,
                              const std::vector<float>& weights) {
  std::vector<Chosen> chosen(static_cast<std::size_t>(router.experts));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Chosen& expert = chosen[static_cast<std::size_t>(ids[i])];
    expert.rows.push_back(static_cast<std::int32_t>(static_cast<std::int64_t>(i) / router.chosen));
    expert.weights.push_back(weights[i]);
  }
  return chosen;
}

}  // namespace

Status StackPass::experts(const Place& place, const Experts& experts) {
  const ExpertsWeights& weights = *place.weights->experts;
  const RoutingArguments routing = arguments_of(experts.router, weights.correction);
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    const MutableRows scores = workspace_.router.rows(stream_type_, count, experts.router.experts);
    LAYERSCOPE_TRY(backend_.linear(*weights.router, in.view(), scores, *workspace_.scratch));
    std::vector<std::int32_t> ids(static_cast<std::size_t>(count * experts.router.chosen));
    std::vector<float> shares(ids.size());
    backend_.route(routing, scores, ids, shares);
    LAYERSCOPE_TRY(show(place, SiteKind::kRouter, first, scores.view()));

    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    std::memset(out.data, 0, static_cast<std::size_t>(count * out.stride) * dtype_size(out.dtype));
    const std::vector<Chosen> chosen = by_expert(experts.router, ids, shares);
    for (std::size_t e = 0; e < chosen.size(); ++e) {
      if (chosen[e].rows.empty()) continue;
      const auto rows = static_cast<std::int64_t>(chosen[e].rows.size());
      const MutableRows taken = workspace_.expert_in.rows(operand_type_, rows, spec_.width);
      backend_.take(in.view(), chosen[e].rows, taken);
      const MutableRows part = workspace_.expert_out.rows(stream_type_, rows, spec_.width);
      LAYERSCOPE_TRY(expert(weights.experts[e], experts, experts.hidden, taken, part));
      backend_.add_at(chosen[e].rows, chosen[e].weights, part.view(), out);
    }
    if (experts.shared) LAYERSCOPE_TRY(shared_expert(place, experts, in, out));
    LAYERSCOPE_TRY(join(place, first, out));
  }
  return {};
}

Status StackPass::expert(const MlpWeights& weights, const Experts& experts, std::int64_t hidden, const MutableRows& in,
                         const MutableRows& out) {
  const MutableRows wide = workspace_.tile_wide.rows(stream_type_, in.rows, 2 * hidden);
  LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), wide, *workspace_.scratch));
  const MutableRows gate = columns(wide, 0, hidden), up = columns(wide, hidden, hidden);
  const MutableRows act = workspace_.tile_act.rows(operand_type_, in.rows, hidden);
  if (experts.clamped) {
    backend_.clamped_gate(experts.clamped->limit, experts.clamped->alpha, gate.view(), up.view(), act);
  } else {
    backend_.gate(experts.activation, gate.view(), up.view(), act);
  }
  return backend_.linear(*weights.down, act.view(), out, *workspace_.scratch);
}

Status StackPass::shared_expert(const Place& place, const Experts& experts, const MutableRows& in,
                                const MutableRows& out) {
  const ExpertsWeights& weights = *place.weights->experts;
  const MutableRows part = workspace_.expert_out.rows(stream_type_, in.rows, spec_.width);
  LAYERSCOPE_TRY(expert(weights.shared, experts, experts.shared->hidden, in, part));
  if (experts.shared->gated) {
    const MutableRows gates = workspace_.router.rows(stream_type_, in.rows, 1);
    LAYERSCOPE_TRY(backend_.linear(*weights.shared_gate, in.view(), gates, *workspace_.scratch));
    std::vector<float> factors(static_cast<std::size_t>(in.rows));
    backend_.convert(gates.view(), {.dtype = DType::kF32,
                                    .data = reinterpret_cast<std::byte*>(factors.data()),
                                    .rows = in.rows,
                                    .width = 1,
                                    .stride = 1});
    backend_.scale_rows(factors, part);
  }
  backend_.add(out, part.view(), 1, nullptr);
  return {};
}

}  // namespace layerscope
