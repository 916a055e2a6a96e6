#include "engine/engine.h"

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

Status Engine::run(const Batch& batch, const TapPlan& plan, Observer& observer, const RunOptions& options) const {
  std::unique_ptr<Workspace> workspace = take_workspace();
  const bool decoder_wanted = spec_.decoder && plan.wants_stack(StackId::kDecoder);
  const auto pass = [&](const Stack& stack, const StackWeights& weights, StackId id) {
    return StackPass(*backend_, spec_, stack, weights, id, batch, plan, observer, options, *workspace);
  };
  MutableRows memory;
  if (spec_.encoder && (plan.wants_stack(StackId::kEncoder) || decoder_wanted) && batch.tokens(StackId::kEncoder) > 0) {
    TapPlan::Depth depth = plan.depth(StackId::kEncoder);
    if (decoder_wanted) depth = {.blocks = static_cast<int>(spec_.encoder->blocks.size()), .steps = 0, .top = true};
    StackPass encoder = pass(*spec_.encoder, weights_.encoder, StackId::kEncoder);
    LAYERSCOPE_TRY(encoder.run(depth, nullptr));
    if (decoder_wanted) {
      memory = workspace->memory.rows(backend_->info().operand, encoder.stream().rows, spec_.width);
      backend_->convert(encoder.stream().view(), memory);
    }
  }
  if (decoder_wanted && batch.tokens(StackId::kDecoder) > 0) {
    StackPass decoder = pass(*spec_.decoder, weights_.decoder, StackId::kDecoder);
    LAYERSCOPE_TRY(decoder.run(plan.depth(StackId::kDecoder), &memory));
    for (std::size_t i = 0; i < options.caches.size(); ++i) {
      const auto& offsets = batch.inputs[1].offsets;
      options.caches[i]->advance(offsets[i + 1] - offsets[i]);
    }
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(workspace));
  return {};
}

}  // namespace layerscope
