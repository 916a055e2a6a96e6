#include "engine/weights.h"

#include <algorithm>
#include <cmath>

#include "base/half.h"
#include "base/try.h"
#include "engine/head.h"
#include "engine/loader.h"
#include "engine/positions.h"

namespace layerscope {
namespace {

std::unique_ptr<NormWeights> head_norm(const Loader& loader, const std::string& module,
                                       const std::optional<HeadNorm>& spec, std::int64_t head_width) {
  if (!spec) return nullptr;
  auto loaded = loader.norm(module, spec->norm);
  if (spec->span == HeadNorm::Span::kEachHead) loaded->view.head_stride = head_width;
  return loaded;
}

Result<AttentionWeights> load_attention(Loader& loader, const std::string& at, const Attention& attention) {
  AttentionWeights weights;
  const std::string q = at + "q", k = at + "k", v = at + "v";
  if (attention.latent) {
    LAYERSCOPE_ASSIGN(weights.latent, load_latent(loader, at, *attention.latent));
  } else if (attention.keys == KeySource::kEncoder) {
    LAYERSCOPE_ASSIGN(weights.in, loader.linear({q}, attention.qkv_bias));
    LAYERSCOPE_ASSIGN(weights.memory, loader.linear({k, v}, attention.qkv_bias));
  } else {
    LAYERSCOPE_ASSIGN(weights.in, loader.linear({q, k, v}, attention.qkv_bias));
  }
  LAYERSCOPE_ASSIGN(weights.out, loader.linear({at + "out"}, attention.out_bias));
  weights.q_norm = head_norm(loader, at + "q_norm", attention.q_norm, attention.d_qk);
  weights.k_norm = head_norm(loader, at + "k_norm", attention.k_norm, attention.d_qk);
  if (attention.sinks) weights.sinks = loader.elements(at + "sinks.weight");
  if (loader.has(at + "score.weight")) weights.score = loader.elements(at + "score.weight");
  if (const auto* relative = std::get_if<Disentangled>(&attention.score); relative != nullptr && !relative->shared) {
    if (relative->content_to_position) {
      LAYERSCOPE_ASSIGN(weights.position_k, loader.linear({at + "position_k"}, relative->key_bias));
    }
    if (relative->position_to_content) {
      LAYERSCOPE_ASSIGN(weights.position_q, loader.linear({at + "position_q"}, true));
    }
  }
  return weights;
}

Result<StepWeights> load_step(Loader& loader, const std::string& at, const std::string& pre, const Step& step) {
  StepWeights loaded{.pre = loader.norm(pre, step.pre),
                     .post = loader.norm(at + "post", step.post),
                     .after = loader.norm(at + "after", step.after)};
  if (const auto* attention = std::get_if<Attention>(&step.mixer)) {
    LAYERSCOPE_ASSIGN(loaded.attention, load_attention(loader, at, *attention));
  } else if (const auto* mlp = std::get_if<Mlp>(&step.mixer)) {
    LAYERSCOPE_ASSIGN(loaded.mlp, load_mlp(loader, at, *mlp));
  } else if (const auto* experts = std::get_if<Experts>(&step.mixer)) {
    LAYERSCOPE_ASSIGN(loaded.experts, load_experts(loader, at, *experts));
  } else if (const auto* conv = std::get_if<ShortConv>(&step.mixer)) {
    LAYERSCOPE_ASSIGN(loaded.short_conv, load_short_conv(loader, at, *conv));
  } else {
    LAYERSCOPE_ASSIGN(loaded.token_conv, load_token_conv(loader, at, std::get<TokenConv>(step.mixer)));
  }
  return loaded;
}

Status load_embedding(Loader& loader, const Embedding& embedding, StackWeights& weights) {
  weights.token = loader.views("embed.token.weight").front();
  if (embedding.types > 0) weights.type = loader.views("embed.type.weight").front();
  if (embedding.tasks > 0) weights.task = loader.views("embed.task.weight").front();
  weights.embed_norm = loader.norm("embed.norm", embedding.norm);
  if (embedding.projection) {
    LAYERSCOPE_ASSIGN(weights.embed_projection, loader.linear({"embed.projection"}, embedding.projection->bias));
  }
  if (!embedding.positions) return {};
  if (loader.has("embed.position.weight")) {
    weights.position = loader.views("embed.position.weight").front();
    return {};
  }
  const PositionTable& positions = *embedding.positions;
  const std::int64_t width = weights.token.inputs;
  weights.computed_positions = sinusoid_table(*positions.computed, positions, width);
  weights.position = {.data = reinterpret_cast<const std::byte*>(weights.computed_positions.data()),
                      .outputs = positions.rows,
                      .inputs = width,
                      .output_stride = width,
                      .input_stride = 1};
  return {};
}

Result<StackWeights> load_stack(Loader& loader, const Stack& stack) {
  StackWeights weights;
  LAYERSCOPE_TRY(load_embedding(loader, stack.embedding, weights));
  weights.top = loader.norm("top", stack.top);
  if (stack.projection) {
    LAYERSCOPE_ASSIGN(weights.top_projection, loader.linear({"top_projection"}, stack.projection->bias));
  }
  if (stack.rotation && loader.has("rotation.weight")) {
    std::vector<float> stored = loader.elements("rotation.weight");
    if (stack.rotation->rows > 0)
      weights.angles.emplace(stored, stack.rotation->pairs);
    else
      weights.frequencies = FixedFrequencies{.inverse = std::move(stored)};
  }
  if (loader.has("score.weight")) weights.score = loader.elements("score.weight");
  if (loader.has("relative.weight")) {
    weights.relative = loader.elements("relative.weight");
    weights.relative_norm = loader.norm("relative_norm", stack.relative_norm);
  }
  for (std::size_t i = 0; i < stack.blocks.size(); ++i) {
    std::vector<StepWeights> steps;
    const Block& block = stack.blocks[i];
    weights.owner.push_back(block.same_as ? static_cast<std::size_t>(*block.same_as) : i);
    std::string pre;
    for (const Step& step : block.same_as ? std::vector<Step>() : block.steps) {
      const std::string at = "block." + std::to_string(i) + "." + step.slot + ".";
      if (!step.same_pre) pre = at + "pre";
      LAYERSCOPE_ASSIGN(StepWeights loaded, load_step(loader, at, pre, step));
      steps.push_back(std::move(loaded));
    }
    weights.blocks.push_back(std::move(steps));
  }
  return weights;
}

// `tied`: the slot in the place of a matrix of scores that is not stored.
HeadTensors find_tensors(const Head& spec, const std::string& name, const std::string& tied, const Loader& loader) {
  HeadTensors head;
  if (spec.transform) {
    head.transform = loader.views(name + ".transform.weight");
    if (spec.transform->bias) head.transform_bias = loader.elements(name + ".transform.bias");
    head.norm = loader.norm(name + ".norm", spec.transform->norm);
  }
  const std::string out = name + ".out.weight", bias = name + ".out.bias";
  head.out = loader.views(loader.has(out) ? out : tied);
  if (loader.has(bias)) head.out_bias = loader.elements(bias);
  return head;
}

}  // namespace

Result<MlpWeights> load_mlp(Loader& loader, const std::string& at, const Mlp& mlp) {
  MlpWeights weights;
  const std::string up = at + "up", gate = at + "gate";
  if (mlp.gated) {
    LAYERSCOPE_ASSIGN(weights.in, loader.linear({gate, up}, mlp.bias));
  } else {
    LAYERSCOPE_ASSIGN(weights.in, loader.linear({up}, mlp.bias, mlp.xielu ? Activation::kNone : mlp.activation));
  }
  if (mlp.xielu) {
    const auto kept = [&](float value) { return mlp.xielu->narrow ? bf16_to_float(float_to_bf16(value)) : value; };
    const auto softplus = [&](const char* name) {
      const float value = kept(loader.elements(at + name).front());
      return kept(std::max(value, 0.0F) + std::log1p(std::exp(-std::abs(value))));
    };
    weights.alpha_p = softplus("alpha_p.weight");
    weights.alpha_n = kept(mlp.xielu->beta + softplus("alpha_n.weight"));
  }
  LAYERSCOPE_ASSIGN(weights.down, loader.linear({at + "down"}, mlp.bias));
  return weights;
}

Result<ModelWeights> load_weights(const ModelSpec& spec, const Bindings& bindings, const Backend& backend) {
  ModelWeights weights;
  if (spec.head && missing_of_head(spec, bindings).empty()) {
    weights.head = find_tensors(*spec.head, "head", stack_prefix(spec, spec.head_stack()) + "embed.token.weight",
                                Loader(bindings, backend, ""));
  }
  if (spec.labels && missing_of_labels(spec, bindings).empty())
    weights.labels = find_tensors(spec.labels->head, "labels", "", Loader(bindings, backend, ""));
  if (const Loader loader(bindings, backend, ""); loader.has("pooler.weight") && loader.has("pooler.bias")) {
    weights.pooler.emplace();
    weights.pooler->transform = loader.views("pooler.weight");
    weights.pooler->transform_bias = loader.elements("pooler.bias");
  }
  if (spec.encoder) {
    Loader loader(bindings, backend, stack_prefix(spec, StackId::kEncoder));
    LAYERSCOPE_ASSIGN(weights.encoder, load_stack(loader, *spec.encoder));
    weights.packed_bytes += loader.bytes;
  }
  if (spec.decoder) {
    Loader loader(bindings, backend, stack_prefix(spec, StackId::kDecoder));
    LAYERSCOPE_ASSIGN(weights.decoder, load_stack(loader, *spec.decoder));
    weights.packed_bytes += loader.bytes;
  }
  return weights;
}

}  // namespace layerscope
