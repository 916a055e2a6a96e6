// StableLM (Tow et al. 2023): Llama's matrices under layer norms, a turning part of each head, attention and MLP
// possibly side by side under one norm, each head of q and k possibly with a norm of its own. transformers,
// src/transformers/models/stablelm/modeling_stablelm.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, c.size("num_key_value_heads", heads));
  attention.rope = c.rope(attention.d_qk, {.partial = 0.25});
  attention.qkv_bias = c.flag("use_qkv_bias", false);
  if (c.flag("qk_layernorm", false)) {
    attention.q_norm = attention.k_norm =
        HeadNorm{.norm = {.kind = NormKind::kLayer, .epsilon = norm.epsilon}, .span = HeadNorm::Span::kEachHead};
  }
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "silu"), .gated = true};
  const Order order = c.flag("use_parallel_residual", false) ? Order::kParallelOneNorm : Order::kSequential;
  return causal_or_not(
      c, {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("num_hidden_layers"), pre_norm_block(norm, attention, mlp, order)),
                           .top = norm},
          .head = language_head(c, false)});
}

constexpr std::string_view kTypes[] = {"stablelm"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_layernorm.norms.{h}"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_layernorm.norms.{h}"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "classifier.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kStableLm{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
