// Llama and the relatives that only set its switches. transformers, src/transformers/models/llama/modeling_llama.py,
// arcee/modeling_arcee.py, granite/modeling_granite.py, seed_oss/modeling_seed_oss.py.
#include "family/llama.h"

#include <cmath>

#include "family/registry.h"

namespace layerscope {

ModelSpec describe_llama(Config& c, const LlamaTraits& traits) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head =
      c.nullable_size("head_dim", traits.head_dim).value_or(std::max<std::int64_t>(width / heads, 1));
  const bool causal = c.flag("is_causal", true);
  const Norm norm = traits.norm ? *traits.norm
                                : Norm{.kind = NormKind::kRms,
                                       .epsilon = c.epsilon("rms_norm_eps", traits.epsilon),
                                       .offset = traits.norm_offset};
  Attention attention{.heads = heads,
                      .kv_heads = c.nullable_size("num_key_value_heads", traits.kv_heads).value_or(heads),
                      .d_qk = head,
                      .d_v = head,
                      .keys = causal && !traits.both_ways ? KeySource::kSelfCausal : KeySource::kSelf,
                      .scale = traits.scale.value_or(static_cast<float>(1 / std::sqrt(static_cast<double>(head)))),
                      .rope = c.rope(head, traits.rope),
                      .clip = traits.clip,
                      .softcap = traits.softcap,
                      .qkv_bias = traits.qkv_bias,
                      .out_bias = traits.out_bias};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  c.require(traits.partial_rotation || 2 * attention.rope->pairs == head,
            "\"partial_rotary_factor\" leaves a part of the heads unrotated, which this model type does not do");
  if (traits.qk_norm) attention.q_norm = attention.k_norm = HeadNorm{.norm = norm, .span = *traits.qk_norm};
  const Mlp mlp{.hidden = c.size("intermediate_size"),
                .activation = traits.xielu ? Activation::kNone : c.activation(traits.activation_key, traits.activation),
                .gated = traits.gated,
                .bias = traits.mlp_bias,
                .xielu = traits.xielu};
  const auto step = [&](const char* slot, const Mixer& mixer) {
    Step result{.slot = slot, .mixer = mixer, .scale = traits.residual_scale};
    if (traits.norms != LlamaTraits::Norms::kBehind) result.pre = norm;
    if (traits.norms != LlamaTraits::Norms::kBefore) result.post = norm;
    return result;
  };

  ModelSpec spec{.width = width};
  std::optional<Stack>& stack = attention.keys == KeySource::kSelf ? spec.encoder : spec.decoder;
  stack = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"), .scale = traits.embedding_scale}, .top = norm};
  for (std::int64_t i = 0; i < c.layers("num_hidden_layers"); ++i) {
    Attention own = attention;
    Mixer other = mlp;
    own.window = traits.window ? traits.window(i) : std::nullopt;
    if (own.window && !causal) ++*own.window;
    if (traits.adapt) traits.adapt(i, own, other);
    stack->blocks.push_back({{step("attn", own), step("mlp", other)}});
  }
  if (c.architecture_ends_in({"ForCausalLM"})) {
    spec.head = traits.head;
    spec.head->tied = c.flag("tie_word_embeddings", traits.head.tied);
  }
  return spec;
}

namespace {

ModelSpec describe(Config& c) {
  const std::string type = c.model_type();
  const bool seed = type == "seed_oss", granite = type == "granite", arcee = type == "arcee";
  const bool bias = c.flag("attention_bias", seed);
  LlamaTraits traits{.epsilon = arcee ? 1e-5 : 1e-6,
                     .qkv_bias = bias,
                     .out_bias = seed ? c.flag("attention_out_bias", false) : bias,
                     .mlp_bias = c.flag("mlp_bias", false)};
  if (seed) {
    traits.head_dim = 128;
    traits.kv_heads = 8;
  }
  if (arcee) {
    traits.activation = "relu2";
    traits.gated = false;
  }
  if (granite) {
    traits.scale = static_cast<float>(c.real("attention_multiplier", 1));
    traits.embedding_scale = static_cast<float>(c.real("embedding_multiplier", 1));
    traits.residual_scale = static_cast<float>(c.real("residual_multiplier", 1));
    traits.head.scale = static_cast<float>(1 / c.real("logits_scaling", 1));
    c.require(std::isfinite(traits.head.scale), "\"logits_scaling\" is 0, expected a divisor");
  }
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"llama", "arcee", "granite", "seed_oss"};
constexpr std::string_view kPrefixes[] = {"model.", "", "transformer."};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.pre", "layers.{i}.attention_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.qkv_proj", {.part = 0, .parts = 3, .qkv = true}},
    {"block.{i}.attn.k", "layers.{i}.self_attn.qkv_proj", {.part = 1, .parts = 3, .qkv = true}},
    {"block.{i}.attn.v", "layers.{i}.self_attn.qkv_proj", {.part = 2, .parts = 3, .qkv = true}},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_norm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_norm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.attn.post", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.pre", "layers.{i}.pre_feedforward_layernorm"},
    {"block.{i}.mlp.pre", "layers.{i}.feedforward_layernorm"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_up_proj", {.part = 0, .parts = 2}},
    {"block.{i}.mlp.up", "layers.{i}.mlp.gate_up_proj", {.part = 1, .parts = 2}},
    {"block.{i}.mlp.alpha_p", "layers.{i}.mlp.act_fn.alpha_p!"},
    {"block.{i}.mlp.alpha_n", "layers.{i}.mlp.act_fn.alpha_n!"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"block.{i}.mlp.post", "layers.{i}.post_feedforward_layernorm"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "classifier.*", "qa_outputs.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const std::span<const Bind> kLlamaBinds = kBinds;
const std::span<const std::string_view> kLlamaPrefixes = kPrefixes, kLlamaIgnored = kIgnored;
const Family kLlama = llama_relative(kTypes, describe);

}  // namespace layerscope
