#include "engine/engine.h"

#include <algorithm>

#include "backend/team_backend.h"
#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

Engine::Engine(ModelSpec spec, ModelWeights weights, std::unique_ptr<Backend> backend)
    : spec_(std::move(spec)), weights_(std::move(weights)), backend_(std::move(backend)) {}

std::unique_ptr<Workspace> Engine::take_workspace() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Workspace> workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<Workspace>(*backend_);
}

void Engine::return_workspace(std::unique_ptr<Workspace> workspace) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(workspace));
}

namespace {

// Operations read rows of their own types only: others would be taken for what they are not.
Status expect_stream_type(const Backend& backend, const RowsView& in, const MutableRows& out) {
  const DType stream = backend.info().stream;
  if (in.dtype == stream && out.dtype == stream) return {};
  return Error{ErrorCode::kUsage, "this model computes in " + std::string(dtype_name(stream)) + ", not in " +
                                      std::string(dtype_name(in.dtype == stream ? out.dtype : in.dtype))};
}

}  // namespace

Result<const PackedHead*> Engine::head() const {
  if (!weights_.head) return Error{ErrorCode::kUsage, "the model has no head over the vocabulary"};
  return head_.get(*spec_.head, *weights_.head, *backend_);
}

Status Engine::load_head() const {
  LAYERSCOPE_TRY(head());
  return {};
}

Status Engine::logits(const RowsView& finals, const MutableRows& out, const RunOptions& options) const {
  LAYERSCOPE_TRY(expect_stream_type(*backend_, finals, out));
  LAYERSCOPE_ASSIGN(const PackedHead* packed, head());
  std::unique_ptr<Workspace> workspace = take_workspace();
  const TeamBackend backend(*backend_, options.team, options.steps);
  LAYERSCOPE_TRY(score(backend, *spec_.head, *packed, finals, out, *workspace));
  return_workspace(std::move(workspace));
  return {};
}

Status Engine::label_scores(const RowsView& finals, const MutableRows& out) const {
  if (!weights_.labels) return Error{ErrorCode::kUsage, "the model has no head over labels"};
  LAYERSCOPE_TRY(expect_stream_type(*backend_, finals, out));
  LAYERSCOPE_ASSIGN(const PackedHead* packed, labels_.get(spec_.labels->head, *weights_.labels, *backend_));
  std::unique_ptr<Workspace> workspace = take_workspace();
  LAYERSCOPE_TRY(score(*backend_, spec_.labels->head, *packed, finals, out, *workspace));
  return_workspace(std::move(workspace));
  return {};
}

Status Engine::pool(const RowsView& finals, const MutableRows& out) const {
  if (!weights_.pooler) return Error{ErrorCode::kUsage, "the model has no pooler"};
  const Head transform{.transform = Head::Transform{.width = spec_.width, .activation = spec_.pooler->activation}};
  LAYERSCOPE_ASSIGN(const PackedHead* packed, pooler_.get(transform, *weights_.pooler, *backend_));
  std::unique_ptr<Workspace> workspace = take_workspace();
  LAYERSCOPE_TRY(pool_rows(*backend_, *packed, finals, out, *workspace));
  return_workspace(std::move(workspace));
  return {};
}

Status Engine::finish(StackId stack, const RowsView& stream, const MutableRows& out) const {
  LAYERSCOPE_TRY(expect_stream_type(*backend_, stream, out));
  std::unique_ptr<Workspace> workspace = take_workspace();
  const StackWeights& weights = stack == StackId::kEncoder ? weights_.encoder : weights_.decoder;
  LAYERSCOPE_TRY(finish_rows(*backend_, weights, stream, out, *workspace));
  return_workspace(std::move(workspace));
  return {};
}

namespace {

bool sees_later_tokens(const Step& step) {
  const auto* attention = std::get_if<Attention>(&step.mixer);
  return attention != nullptr && attention->keys == KeySource::kSelf;
}

// What cannot be asked of this model at all.
Status check_options(const ModelSpec& spec, const Batch& batch, const RunOptions& options) {
  const auto any = [&](bool (*test)(const Step&)) {
    return std::ranges::any_of(spec.decoder->blocks,
                               [&](const Block& block) { return std::ranges::any_of(block.steps, test); });
  };
  if (!options.caches.empty() && spec.decoder && any(sees_later_tokens))
    return Error{ErrorCode::kUsage, "a decoder whose tokens see later ones cannot run step by step"};
  if (options.steps) {
    const auto& offsets = batch.inputs[1].offsets;
    const bool single = !options.caches.empty() && batch.tokens(StackId::kEncoder) == 0 &&
                        batch.tokens(StackId::kDecoder) == static_cast<std::int64_t>(offsets.size()) - 1 &&
                        std::ranges::adjacent_find(offsets, std::equal_to<>()) == offsets.end();
    if (!single)
      return Error{ErrorCode::kUsage, "steps take exactly one new token of every sequence, with a cache each"};
  }
  if (!options.start || options.start->step == 0) return {};
  const Stack& stack = options.start->stack == StackId::kEncoder ? *spec.encoder : *spec.decoder;
  const auto& steps = stack.blocks[static_cast<std::size_t>(options.start->block)].steps;
  if (std::any_of(steps.begin() + options.start->step, steps.end(), reads_block_input))
    return Error{ErrorCode::kUsage, "a block of parallel steps can only be entered at its first step"};
  return {};
}

}  // namespace

Status Engine::run(const Batch& batch, const TapPlan& plan, Observer& observer, const RunOptions& options) const {
  LAYERSCOPE_TRY(check_options(spec_, batch, options));
  std::unique_ptr<Workspace> workspace = take_workspace();
  const TeamBackend backend(*backend_, options.team, options.steps);
  const bool decoder_wanted = spec_.decoder && plan.wants_stack(StackId::kDecoder);
  const auto pass = [&](const Stack& stack, const StackWeights& weights, StackId id) {
    return StackPass(backend, spec_, stack, weights, id, batch, plan, observer, options, *workspace);
  };
  const auto scores = [&](StackPass& stack, StackId id) -> Status {
    if (plan.wants(id, -1, -1, SiteKind::kLogits) < 0) return {};
    LAYERSCOPE_ASSIGN(const PackedHead* packed, head());
    return stack.logits(*spec_.head, *packed);
  };
  MutableRows memory;
  if (options.encoded && decoder_wanted) {
    memory = workspace->memory.rows(backend.info().operand, options.encoded->rows, options.encoded->width);
    backend.convert(*options.encoded, memory);
  } else if (spec_.encoder && (plan.wants_stack(StackId::kEncoder) || decoder_wanted) &&
             batch.tokens(StackId::kEncoder) > 0) {
    TapPlan::Depth depth = plan.depth(StackId::kEncoder);
    if (decoder_wanted) depth = {.blocks = static_cast<int>(spec_.encoder->blocks.size()), .steps = 0, .top = true};
    StackPass encoder = pass(*spec_.encoder, weights_.encoder, StackId::kEncoder);
    LAYERSCOPE_TRY(encoder.run(depth, nullptr));
    LAYERSCOPE_TRY(scores(encoder, StackId::kEncoder));
    if (decoder_wanted) {
      memory = workspace->memory.rows(backend.info().operand, encoder.stream().rows, spec_.width);
      backend.convert(encoder.stream().view(), memory);
    }
  }
  if (decoder_wanted && batch.tokens(StackId::kDecoder) > 0) {
    StackPass decoder = pass(*spec_.decoder, weights_.decoder, StackId::kDecoder);
    LAYERSCOPE_TRY(decoder.run(plan.depth(StackId::kDecoder), &memory));
    LAYERSCOPE_TRY(scores(decoder, StackId::kDecoder));
    for (std::size_t i = 0; i < options.caches.size(); ++i) {
      const auto& offsets = batch.inputs[1].offsets;
      options.caches[i]->advance(offsets[i + 1] - offsets[i]);
    }
  }
  return_workspace(std::move(workspace));
  return {};
}

}  // namespace layerscope
