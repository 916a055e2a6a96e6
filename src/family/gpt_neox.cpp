// GPT-NeoX (Black et al. 2022): attention and MLP side by side or one after the other, a turning part of each head, q,
// k and v of a head next to each other. Persimmon (Elsen et al. 2023): always one after the other, with norms over the
// heads of q and k. transformers, src/transformers/models/gpt_neox/modeling_gpt_neox.py and
// persimmon/modeling_persimmon.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool persimmon = c.model_type() == "persimmon";
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.qkv_bias = attention.out_bias = persimmon || c.flag("attention_bias", true);
  attention.rope = persimmon ? c.rope(attention.d_qk, {.partial = 0.5})
                             : c.rope(attention.d_qk,
                                      {.partial = 0.25, .theta_key = "rotary_emb_base", .partial_key = "rotary_pct"});
  if (persimmon && c.flag("qk_layernorm", true)) attention.q_norm = attention.k_norm = HeadNorm{.norm = norm};
  const Order order = !persimmon && c.flag("use_parallel_residual", true) ? Order::kParallel : Order::kSequential;
  const Mlp mlp{.hidden = c.size("intermediate_size"),
                .activation = c.activation("hidden_act", persimmon ? "relu2" : "gelu"),
                .bias = true};
  return causal_or_not(
      c, {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("num_hidden_layers"), pre_norm_block(norm, attention, mlp, order)),
                           .top = norm},
          .head = language_head(c, false)});
}

constexpr std::string_view kTypes[] = {"gpt_neox"}, kPersimmonTypes[] = {"persimmon"};
constexpr std::string_view kPrefixes[] = {"gpt_neox.", ""}, kPersimmonPrefixes[] = {"model.", ""};
constexpr Cut kQ{.part = 0, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Cut kK{.part = 1, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Cut kV{.part = 2, .groups = Cut::Groups::kKeyHeads, .qkv = true};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_in"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.attention.query_key_value", kQ},
    {"block.{i}.attn.k", "layers.{i}.attention.query_key_value", kK},
    {"block.{i}.attn.v", "layers.{i}.attention.query_key_value", kV},
    {"block.{i}.attn.out", "layers.{i}.attention.dense"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.dense_h_to_4h"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.dense_4h_to_h"},
    {"top", "final_layer_norm"},
    {"head.out", "lm_head"},
    {"head.out", "embed_out"},
};
constexpr Bind kPersimmonBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.query_key_value", kQ},
    {"block.{i}.attn.k", "layers.{i}.self_attn.query_key_value", kK},
    {"block.{i}.attn.v", "layers.{i}.self_attn.query_key_value", kV},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_layernorm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_layernorm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.dense"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.dense_h_to_4h"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.dense_4h_to_h"},
    {"top", "final_layernorm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"layers.*.attention.bias",
                                         "layers.*.attention.masked_bias",
                                         "layers.*.*.rotary_emb.inv_freq",
                                         "lm_head.weight",
                                         "embed_out.weight",
                                         "score.*",
                                         "classifier.*",
                                         "qa_outputs.*"};

}  // namespace

const Family kGptNeoX{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};
const Family kPersimmon{.model_types = kPersimmonTypes,
                        .describe = describe,
                        .binds = kPersimmonBinds,
                        .prefixes = kPersimmonPrefixes,
                        .ignored = kIgnored};

}  // namespace layerscope
