// Qwen2 and Qwen3 with experts, and OLMoE (Muennighoff et al. 2024). transformers,
// src/transformers/models/qwen2_moe/modeling_qwen2_moe.py, qwen3_moe/modeling_qwen3_moe.py, olmoe/modeling_olmoe.py.
#include <algorithm>

#include "family/mixture.h"
#include "family/registry.h"

namespace layerscope {
namespace {

// A config of transformers 4 has no "layer_types": there the window holds in every layer.
ModelSpec describe_qwen(Config& c) {
  const bool third = c.model_type() == "qwen3_moe";
  const std::optional<std::int64_t> window =
      c.flag("use_sliding_window", false) ? c.nullable_size("sliding_window", 4096) : std::nullopt;
  c.ignore("sliding_window");
  const bool bias = third && c.flag("attention_bias", false);
  LlamaTraits traits{.qkv_bias = third ? bias : c.flag("qkv_bias", true), .out_bias = bias, .kv_heads = third ? 4 : 16};
  if (third) {
    traits.qk_norm = HeadNorm::Span::kHead;
    traits.window = [window](std::int64_t) { return window; };
  } else {
    traits.window = windows(c, window, [](std::int64_t) { return true; });
  }
  Experts experts{.router = {.experts = expert_count(c, third ? 128 : 60),
                             .chosen = c.size("num_experts_per_tok", third ? 8 : 4),
                             .renormalise = c.flag("norm_topk_prob", false)},
                  .hidden = c.size("moe_intermediate_size", third ? 768 : 1408)};
  if (!third)
    experts.shared = Experts::Shared{.hidden = c.size("shared_expert_intermediate_size", 5632), .gated = true};
  const std::vector<std::int64_t> dense = c.indices("mlp_only_layers").value_or(std::vector<std::int64_t>());
  put_experts(c, traits, experts, [dense, every = c.size("decoder_sparse_step", 1)](std::int64_t block) {
    return (block + 1) % every == 0 && std::find(dense.begin(), dense.end(), block) == dense.end();
  });
  return describe_llama(c, traits);
}

ModelSpec describe_olmoe(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  LlamaTraits traits{.epsilon = 1e-5, .qk_norm = HeadNorm::Span::kRow, .qkv_bias = bias, .out_bias = bias};
  c.ignore("clip_qkv");
  if (c.has("clip_qkv")) {
    traits.clip = static_cast<float>(c.real("clip_qkv"));
    c.require(*traits.clip > 0, "\"clip_qkv\" is not above 0");
  }
  const Router router{.experts = expert_count(c, 64),
                      .chosen = c.size("num_experts_per_tok", 8),
                      .renormalise = c.flag("norm_topk_prob", false)};
  put_experts(c, traits, {.router = router}, [](std::int64_t) { return true; });
  return describe_llama(c, traits);
}

constexpr std::string_view kQwenTypes[] = {"qwen2_moe", "qwen3_moe"}, kOlmoeTypes[] = {"olmoe"};

}  // namespace

const Family kQwenMoe = mixture(kQwenTypes, describe_qwen);
const Family kOlmoe = mixture(kOlmoeTypes, describe_olmoe);

}  // namespace layerscope
