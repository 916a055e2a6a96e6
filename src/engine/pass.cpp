#include "engine/pass.h"

#include <algorithm>
#include <cmath>

#include "base/try.h"

namespace layerscope {

StackPass::StackPass(const Backend& backend, const ModelSpec& spec, const Stack& stack, const StackWeights& weights,
                     StackId id, const Batch& batch, const TapPlan& plan, Observer& observer, const RunOptions& options,
                     Workspace& workspace)
    : backend_(backend),
      spec_(spec),
      stack_(stack),
      weights_(weights),
      id_(id),
      batch_(batch),
      input_(batch.inputs[static_cast<std::size_t>(id)]),
      plan_(plan),
      observer_(observer),
      options_(options),
      workspace_(workspace),
      stream_type_(backend.info().stream),
      operand_type_(backend.info().operand),
      tile_rows_(backend.tile_rows()),
      tokens_(input_.offsets.back()) {
  positions_.reserve(static_cast<std::size_t>(tokens_));
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t before = past(s), length = input_.offsets[s + 1] - input_.offsets[s];
    for (std::int64_t i = 0; i < length; ++i) positions_.push_back(static_cast<std::int32_t>(before + i));
    longest_ = std::max(longest_, before + length);
  }
  x_ = workspace_.stream.rows(stream_type_, tokens_, spec_.width);
}

std::int64_t StackPass::past(std::size_t sequence) const noexcept {
  return id_ == StackId::kDecoder && !options_.caches.empty() ? options_.caches[sequence]->tokens() : 0;
}

Status StackPass::run(const TapPlan::Depth& depth, const MutableRows* memory) {
  LAYERSCOPE_TRY(check_edits());
  int block = 0, first_step = 0;
  if (options_.start && options_.start->stack == id_) {
    block = options_.start->block;
    first_step = options_.start->step;
    backend_.convert(options_.start->stream, x_);
  } else {
    LAYERSCOPE_TRY(embed());
  }
  for (; block < depth.blocks; ++block, first_step = 0) {
    const auto at = static_cast<std::size_t>(block);
    const std::vector<Step>& steps = stack_.blocks[at].steps;
    const bool partial = block + 1 == depth.blocks && depth.steps > 0;
    const int last = partial ? depth.steps : static_cast<int>(steps.size());
    if (std::any_of(steps.begin() + first_step, steps.end(), reads_block_input)) {
      block_input_ = workspace_.block_input.rows(stream_type_, tokens_, spec_.width);
      backend_.convert(x_.view(), block_input_);
    }
    for (int s = first_step; s < last; ++s) {
      const auto index = static_cast<std::size_t>(s);
      LAYERSCOPE_TRY(
          step({.block = block, .step = s, .spec = &steps[index], .weights = &weights_.block(at)[index]}, memory));
    }
  }
  return depth.top ? top() : Status();
}

Status StackPass::step(const Place& place, const MutableRows* memory) {
  struct Dispatch {
    StackPass& pass;
    const Place& place;
    const MutableRows* memory;
    Status operator()(const Attention& mixer) const { return pass.attention(place, mixer, memory); }
    Status operator()(const Mlp& mixer) const { return pass.mlp(place, mixer); }
    Status operator()(const Experts& mixer) const { return pass.experts(place, mixer); }
    Status operator()(const ShortConv& mixer) const { return pass.short_conv(place, mixer); }
    Status operator()(const TokenConv& mixer) const { return pass.token_conv(place, mixer); }
  };
  return std::visit(Dispatch{*this, place, memory}, place.spec->mixer);
}

Status StackPass::mlp(const Place& place, const Mlp& mlp) {
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    LAYERSCOPE_TRY(mlp_tile(place, mlp, place.weights->mlp, in, first, out));
    LAYERSCOPE_TRY(join(place, first, out));
  }
  return {};
}

Status StackPass::mlp_tile(const Place& place, const Mlp& mlp, const MlpWeights& weights, const MutableRows& in,
                           std::int64_t first, const MutableRows& out) {
  const MutableRows act = workspace_.tile_act.rows(operand_type_, in.rows, mlp.hidden);
  if (mlp.gated) {
    const MutableRows wide = workspace_.tile_wide.rows(stream_type_, in.rows, 2 * mlp.hidden);
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), wide, *workspace_.scratch));
    backend_.gate(mlp.activation, columns(wide, 0, mlp.hidden).view(), columns(wide, mlp.hidden, mlp.hidden).view(),
                  act);
  } else if (mlp.xielu) {
    const MutableRows wide = workspace_.tile_wide.rows(stream_type_, in.rows, mlp.hidden);
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), wide, *workspace_.scratch));
    backend_.xielu(weights.alpha_p, weights.alpha_n, mlp.xielu->beta, mlp.xielu->epsilon, wide.view(), act);
  } else {
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), act, *workspace_.scratch));
  }
  LAYERSCOPE_TRY(edit(place, SiteKind::kAct, first, act));
  LAYERSCOPE_TRY(show(place, SiteKind::kAct, first, act.view()));
  return backend_.linear(*weights.down, act.view(), out, *workspace_.scratch);
}

Status StackPass::top() {
  const MutableRows final =
      weights_.top_projection ? workspace_.final.rows(stream_type_, tokens_, weights_.top_projection->outputs) : x_;
  LAYERSCOPE_TRY(finish_rows(backend_, weights_, x_.view(), final, workspace_));
  x_ = final;
  LAYERSCOPE_TRY(edit(-1, -1, SiteKind::kFinal, 0, x_));
  LAYERSCOPE_TRY(check(x_.view(), 0, qualified("final"), input_.offsets));
  return show(plan_.wants(id_, -1, -1, SiteKind::kFinal), 0, x_.view());
}

std::vector<std::int32_t> StackPass::kept_tokens() const {
  std::vector<std::int32_t> tokens;
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const auto first = static_cast<std::int32_t>(input_.offsets[s]);
    const std::int64_t length = input_.offsets[s + 1] - input_.offsets[s];
    if (plan_.has_picks()) {
      for (const std::int32_t position : plan_.picks(batch_.rows[s], length)) tokens.push_back(first + position);
    } else {
      for (std::int32_t i = 0; i < length; ++i) tokens.push_back(first + i);
    }
  }
  return tokens;
}

Status StackPass::logits(const Head& head, const PackedHead& weights) {
  const int observed = plan_.wants(id_, -1, -1, SiteKind::kLogits);
  const std::int64_t vocabulary = weights.out->outputs;
  const std::vector<std::int32_t> tokens = kept_tokens();
  const auto most = static_cast<std::size_t>(score_rows(vocabulary));
  for (std::size_t first = 0; first < tokens.size(); first += most) {
    const auto tile = std::span(tokens).subspan(first, std::min(most, tokens.size() - first));
    const auto count = static_cast<std::int64_t>(tile.size());
    const MutableRows finals = workspace_.kept.rows(stream_type_, count, x_.width);
    backend_.take(x_.view(), tile, finals);
    const MutableRows scores = workspace_.scores.rows(stream_type_, count, vocabulary);
    LAYERSCOPE_TRY(score(backend_, head, weights, finals.view(), scores, workspace_));
    for (std::int64_t row = 0, end = 0; row < count; row = end) {  // a frame holds neighbouring tokens
      const std::int32_t token = tile[static_cast<std::size_t>(row)];
      do ++end;
      while (end < count && tile[static_cast<std::size_t>(end)] == token + (end - row));
      LAYERSCOPE_TRY(show(observed, token, slice(scores, row, end - row).view()));
    }
  }
  return {};
}

Status StackPass::read(const Place& place, std::int64_t first, std::int64_t count, MutableRows& in) {
  const bool parallel = place.spec->reads == Step::Reads::kBlockInput;
  const MutableRows x = slice(parallel ? block_input_ : x_, first, count);
  if (place.weights->pre) {
    in = workspace_.tile_in.rows(operand_type_, count, spec_.width);
    backend_.norm(place.weights->pre->view, x.view(), in);
    if (place.spec->carries_pre) backend_.norm(place.weights->pre->view, x.view(), x);
  } else if (operand_type_ == stream_type_ && !edits(place.block, place.step, SiteKind::kStepIn)) {
    in = x;
  } else {
    in = workspace_.tile_in.rows(operand_type_, count, spec_.width);
    backend_.convert(x.view(), in);
  }
  LAYERSCOPE_TRY(edit(place, SiteKind::kStepIn, first, in));
  return show(place, SiteKind::kStepIn, first, in.view());
}

Status StackPass::join(const Place& place, std::int64_t first, const MutableRows& t) {
  const MutableRows x = slice(x_, first, t.rows);
  if (place.weights->post) backend_.norm(place.weights->post->view, t.view(), t);
  if (place.spec->scale != 1)
    backend_.scale_rows(std::vector<float>(static_cast<std::size_t>(t.rows), place.spec->scale), t);
  LAYERSCOPE_TRY(edit(place, SiteKind::kStepOut, first, t));
  LAYERSCOPE_TRY(show(place, SiteKind::kStepOut, first, t.view()));
  const NormView* after = place.weights->after ? &place.weights->after->view : nullptr;
  if (after != nullptr && (plan_.wants(id_, place.block, place.step, SiteKind::kStepPresum) >= 0 ||
                           edits(place.block, place.step, SiteKind::kStepPresum))) {
    backend_.add(x, t.view(), 1, nullptr);
    LAYERSCOPE_TRY(edit(place, SiteKind::kStepPresum, first, x));
    LAYERSCOPE_TRY(show(place, SiteKind::kStepPresum, first, x.view()));
    backend_.norm(*after, x.view(), x);
  } else {
    backend_.add(x, t.view(), 1, after);
  }
  LAYERSCOPE_TRY(edit(place, SiteKind::kStepSum, first, x));
  LAYERSCOPE_TRY(check(x.view(), first, qualified(site_name(place, "sum")), input_.offsets));
  LAYERSCOPE_TRY(show(place, SiteKind::kStepSum, first, x.view()));
  const bool last =
      static_cast<std::size_t>(place.step) + 1 == stack_.blocks[static_cast<std::size_t>(place.block)].steps.size();
  if (!last) return {};
  LAYERSCOPE_TRY(edit(place.block, -1, SiteKind::kBlockOut, first, x));
  return show(plan_.wants(id_, place.block, -1, SiteKind::kBlockOut), first, x.view());
}

Status StackPass::show(const Place& place, SiteKind kind, std::int64_t first, const RowsView& rows) {
  return show(plan_.wants(id_, place.block, place.step, kind), first, rows);
}

Status StackPass::show(int observed, std::int64_t first, const RowsView& rows) {
  if (observed < 0) return {};
  const Site& site = plan_.observed()[static_cast<std::size_t>(observed)];
  LAYERSCOPE_TRY(check(rows, first, site.name, site.cross ? batch_.inputs[0].offsets : input_.offsets));
  if (rows.dtype == stream_type_) return observer_.observe({.observed = observed, .first = first, .rows = rows});
  for (std::int64_t at = 0; at < rows.rows; at += tile_rows_) {
    const RowsView part = slice(rows, at, std::min(tile_rows_, rows.rows - at));
    const MutableRows shown = workspace_.shown.rows(stream_type_, part.rows, part.width);
    backend_.convert(part, shown);
    LAYERSCOPE_TRY(observer_.observe({.observed = observed, .first = first + at, .rows = shown.view()}));
  }
  return {};
}

std::string StackPass::site_name(const Place& place, std::string_view point) const {
  return "block." + std::to_string(place.block) + "." + place.spec->slot + "." + std::string(point);
}

std::string StackPass::qualified(const std::string& site) const {
  return (!spec_.two_stacks() ? "" : id_ == StackId::kEncoder ? "enc." : "dec.") + site;
}

Status StackPass::check(const RowsView& rows, std::int64_t first, const std::string& site,
                        const std::vector<std::int64_t>& offsets) const {
  if (backend_.all_finite(rows)) return {};
  std::int64_t token = 0;
  while (token + 1 < rows.rows && backend_.all_finite(slice(rows, token, 1))) ++token;
  token += first;
  const auto sequence =
      static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), token) - offsets.begin()) - 1;
  return Error{ErrorCode::kRuntime, "site \"" + site + "\" holds NaN or infinity, first at token " +
                                        std::to_string(token - offsets[sequence]) + " of row " +
                                        std::to_string(batch_.rows[sequence])};
}

}  // namespace layerscope
