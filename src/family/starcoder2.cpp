// StarCoder2 (Lozhkov et al. 2024): a pre-norm decoder with layer norms, rotary positions, few key heads and a window.
// transformers, src/transformers/models/starcoder2/modeling_starcoder2.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.has("head_dim") ? c.size("head_dim") : head_width(c, width, heads);
  const bool bias = c.flag("use_bias", true);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("norm_epsilon", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head, heads, c.size("num_key_value_heads", 2));
  attention.rope = whole_rope(c, head);
  attention.window = c.optional_size("sliding_window");
  attention.qkv_bias = attention.out_bias = bias;
  const Mlp mlp{.hidden = c.size("intermediate_size"),
                .activation = c.activation("hidden_act", "gelu_pytorch_tanh"),
                .bias = bias};
  return causal_or_not(
      c, {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("num_hidden_layers"), pre_norm_block(norm, attention, mlp)),
                           .top = norm},
          .head = language_head(c, true)});
}

constexpr std::string_view kTypes[] = {"starcoder2"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.c_fc"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.c_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "classifier.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kStarcoder2{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
