// DeepSeek-V3 (DeepSeek-AI 2024): latent attention, experts chosen by groups and one that all tokens take.
// transformers, src/transformers/models/deepseek_v3/modeling_deepseek_v3.py. Experts outside the chosen groups are
// never taken, as in transformers 5; in 4 they count as 0, which differs where corrections make other values negative.
#include <cmath>

#include "family/decoder.h"
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

// Scores grow with the stretch of the rotary frequencies.
double score_scale(Config& c, const Rope& rope, std::int64_t head) {
  const double plain = 1 / std::sqrt(static_cast<double>(head));
  const std::string settings = c.has("rope_parameters") ? "rope_parameters." : "rope_scaling.";
  const double multiplier = c.real(settings + "mscale_all_dim", 0.0);
  if (rope.type == "default" || multiplier == 0) return plain;
  const double factor = c.real(settings + "factor");
  const double magnitude = factor <= 1 ? 1 : 0.1 * multiplier * std::log(factor) + 1;
  return plain * magnitude * magnitude;
}

Attention latent_attention(Config& c) {
  const std::int64_t heads = c.size("num_attention_heads");
  c.require(c.size("num_key_value_heads", heads) == heads,
            "\"num_key_value_heads\" is not \"num_attention_heads\": latent attention has as many");
  const std::int64_t rotated = c.size("qk_rope_head_dim", 64);
  c.alias("head_dim", "qk_rope_head_dim");
  const bool bias = c.flag("attention_bias", false);
  Attention attention{.heads = heads,
                      .kv_heads = heads,
                      .d_qk = c.size("qk_nope_head_dim", 128) + rotated,
                      .d_v = c.size("v_head_dim", 128),
                      .keys = KeySource::kSelfCausal,
                      .rope = c.rope(rotated, {.interleaved = c.flag("rope_interleave", true)}),
                      .latent = LatentProjection{.q_rank = c.nullable_size("q_lora_rank", 1536),
                                                 .kv_rank = c.size("kv_lora_rank", 512),
                                                 .rotated = rotated,
                                                 .norm = {.kind = NormKind::kRms, .epsilon = 1e-6F},
                                                 .bias = bias},
                      .out_bias = bias};
  c.require(2 * attention.rope->pairs == rotated, "\"partial_rotary_factor\" is not 1");
  attention.scale = static_cast<float>(score_scale(c, *attention.rope, attention.d_qk));
  return attention;
}

Experts grouped_experts(Config& c, Activation activation) {
  c.only("scoring_func", "sigmoid");
  c.only("topk_method", "noaux_tc");
  c.only("moe_layer_freq", std::int64_t{1});
  const std::int64_t hidden = c.size("moe_intermediate_size", 2048);
  c.alias("num_local_experts", "n_routed_experts");
  const Router router{.rule = Router::Rule::kSigmoidGroups,
                      .experts = c.size("n_routed_experts", 256),
                      .chosen = c.size("num_experts_per_tok", 8),
                      .renormalise = c.flag("norm_topk_prob", true),
                      .scale = static_cast<float>(c.real("routed_scaling_factor", 2.5)),
                      .groups = c.size("n_group", 8),
                      .chosen_groups = c.size("topk_group", 4)};
  const std::int64_t group = router.experts / router.groups;
  c.require(group * router.groups == router.experts && group >= 2,
            "\"n_routed_experts\" does not fall into \"n_group\" groups of two or more");
  return {.router = router,
          .hidden = hidden,
          .activation = activation,
          .shared = Experts::Shared{.hidden = hidden * c.size("n_shared_experts", 1)}};
}

ModelSpec describe(Config& c) {
  const Norm norm{.kind = NormKind::kRms, .epsilon = c.epsilon("rms_norm_eps", 1e-6)};
  const Activation activation = c.activation("hidden_act", "silu");
  const Attention attention = latent_attention(c);
  const Experts experts = grouped_experts(c, activation);
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = activation, .gated = true};
  const std::int64_t dense = c.index("first_k_dense_replace", 3);
  ModelSpec spec{.width = c.size("hidden_size"), .head = language_head(c, false)};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")}, .top = norm};
  for (std::int64_t i = 0; i < c.layers("num_hidden_layers"); ++i) {
    Step feed{.slot = "mlp", .pre = norm, .mixer = mlp};
    if (i >= dense) feed.mixer = experts;
    spec.decoder->blocks.push_back({{Step{.slot = "attn", .pre = norm, .mixer = attention}, feed}});
  }
  return causal_or_not(c, std::move(spec));
}

constexpr std::string_view kTypes[] = {"deepseek_v3"};
constexpr Cut kGate{.part = 0, .parts = 2, .expert = true}, kUp{.part = 1, .parts = 2, .expert = true},
    kDown{.expert = true};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.q_down", "layers.{i}.self_attn.q_a_proj"},
    {"block.{i}.attn.q_down_norm", "layers.{i}.self_attn.q_a_layernorm"},
    {"block.{i}.attn.q_up", "layers.{i}.self_attn.q_b_proj"},
    {"block.{i}.attn.kv_down", "layers.{i}.self_attn.kv_a_proj_with_mqa"},
    {"block.{i}.attn.kv_down_norm", "layers.{i}.self_attn.kv_a_layernorm"},
    {"block.{i}.attn.kv_up", "layers.{i}.self_attn.kv_b_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"block.{i}.mlp.router", "layers.{i}.mlp.gate"},
    {"block.{i}.mlp.router.correction", "layers.{i}.mlp.gate.e_score_correction_bias!"},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.mlp.experts.{e}.gate_proj"},
    {"block.{i}.mlp.experts.{e}.gate", "layers.{i}.mlp.experts.gate_up_proj!", kGate},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.mlp.experts.{e}.up_proj"},
    {"block.{i}.mlp.experts.{e}.up", "layers.{i}.mlp.experts.gate_up_proj!", kUp},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.mlp.experts.{e}.down_proj"},
    {"block.{i}.mlp.experts.{e}.down", "layers.{i}.mlp.experts.down_proj!", kDown},
    {"block.{i}.mlp.shared.gate", "layers.{i}.mlp.shared_experts.gate_proj"},
    {"block.{i}.mlp.shared.up", "layers.{i}.mlp.shared_experts.up_proj"},
    {"block.{i}.mlp.shared.down", "layers.{i}.mlp.shared_experts.down_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
// Layer 61 of the published checkpoints predicts a further token and is no part of the stack.
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "layers.61.**",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kDeepSeek{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kLlamaPrefixes, .ignored = kIgnored};

}  // namespace layerscope
