// Phi-1, Phi-1.5 and Phi-2 (Gunasekar et al. 2023): attention and MLP side by side under one norm, biases everywhere,
// the head's too, a turning part of each head. transformers, src/transformers/models/phi/modeling_phi.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.has("head_dim") ? c.size("head_dim") : head_width(c, width, heads);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head, heads, c.size("num_key_value_heads", heads));
  attention.rope = c.rope(head, {.partial = 0.5});
  attention.qkv_bias = attention.out_bias = true;
  if (c.flag("qk_layernorm", false)) attention.q_norm = attention.k_norm = HeadNorm{.norm = norm};
  c.ignore("auto_map");
  const Mlp mlp{
      .hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "gelu_new"), .bias = true};
  return causal_or_not(
      c, {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("num_hidden_layers"),
                                            pre_norm_block(norm, attention, mlp, Order::kParallelOneNorm)),
                           .top = norm},
          .head = language_head(c, false, true)});
}

constexpr std::string_view kTypes[] = {"phi"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_layernorm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_layernorm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.dense"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.fc1"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.fc2"},
    {"top", "final_layernorm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.*", "score.*", "classifier.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kPhi{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
