// Llama. transformers, src/transformers/models/llama/modeling_llama.py.
#include "family/llama.h"

#include <cmath>

#include "family/registry.h"

namespace layerscope {

ModelSpec describe_llama(Config& c, const LlamaTraits& traits) {
  const std::int64_t width = c.size("hidden_size");
  const std::int64_t heads = c.size("num_attention_heads");
  const std::int64_t head =
      c.nullable_size("head_dim", traits.head_dim).value_or(std::max<std::int64_t>(width / heads, 1));
  const Norm norm{.kind = NormKind::kRms, .epsilon = c.epsilon("rms_norm_eps", 1e-6)};
  Attention attention{.heads = heads,
                      .kv_heads = c.nullable_size("num_key_value_heads", traits.kv_heads).value_or(heads),
                      .d_qk = head,
                      .d_v = head,
                      .keys = KeySource::kSelfCausal,
                      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                      .rope = c.rope(head),
                      .qkv_bias = traits.qkv_bias,
                      .out_bias = traits.out_bias};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  if (traits.qk_norm) attention.q_norm = attention.k_norm = HeadNorm{.norm = norm};
  const Mlp mlp{.hidden = c.size("intermediate_size"),
                .activation = c.activation("hidden_act", "silu"),
                .gated = true,
                .bias = traits.mlp_bias};

  ModelSpec spec{.width = width};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")}, .top = norm};
  for (std::int64_t i = 0; i < c.layers("num_hidden_layers"); ++i) {
    attention.window = traits.window ? traits.window(i) : std::nullopt;
    spec.decoder->blocks.push_back(
        {{Step{.slot = "attn", .pre = norm, .mixer = attention}, Step{.slot = "mlp", .pre = norm, .mixer = mlp}}});
  }
  return spec;
}

namespace {

ModelSpec describe(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  return describe_llama(c, {.qkv_bias = bias, .out_bias = bias, .mlp_bias = c.flag("mlp_bias", false)});
}

constexpr std::string_view kTypes[] = {"llama"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_norm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_norm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"top", "norm"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.weight", "qa_outputs.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const std::span<const Bind> kLlamaBinds = kBinds;
const std::span<const std::string_view> kLlamaPrefixes = kPrefixes, kLlamaIgnored = kIgnored;
const Family kLlama{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
