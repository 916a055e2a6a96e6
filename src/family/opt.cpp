// OPT (Zhang et al. 2022): a decoder with norms before or after its steps, learned positions behind two unused rows,
// and possibly a token table of another width than the stream. transformers,
// src/transformers/models/opt/modeling_opt.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t table_width = c.size("word_embed_proj_dim", width);
  const bool before = c.flag("do_layer_norm_before", true), bias = c.flag("enable_bias", true);
  const bool affine = c.flag("layer_norm_elementwise_affine", true);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = 1e-5F, .bias = affine, .weight = affine};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.qkv_bias = attention.out_bias = bias;
  const Mlp mlp{.hidden = c.size("ffn_dim"), .activation = c.activation("activation_function", "relu"), .bias = bias};
  Block block = pre_norm_block(norm, attention, mlp);
  for (Step& step : block.steps) {
    if (!before) std::swap(step.pre, step.after);
  }

  Stack stack{
      .embedding = {.vocabulary_size = c.size("vocab_size"),
                    .positions = PositionTable{.rows = c.size("max_position_embeddings", 2048) + 2, .offset = 2}},
      .blocks = repeat(c.layers("num_hidden_layers"), block)};
  if (before && !c.flag("_remove_final_layer_norm", false)) stack.top = norm;
  if (table_width != width) {
    stack.embedding.projection = {.width = table_width, .at = EmbeddingProjection::At::kTokens};
    stack.projection = {.width = table_width};
  }
  return causal_or_not(c, {.width = width, .decoder = std::move(stack), .head = language_head(c, true)});
}

constexpr std::string_view kTypes[] = {"opt"};
constexpr std::string_view kPrefixes[] = {"model.decoder.", "decoder.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"embed.position", "embed_positions"},
    {"embed.projection", "project_in"},
    {"block.{i}.attn.pre", "layers.{i}.self_attn_layer_norm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.out_proj"},
    {"block.{i}.attn.after", "layers.{i}.self_attn_layer_norm"},
    {"block.{i}.mlp.pre", "layers.{i}.final_layer_norm"},
    {"block.{i}.mlp.up", "layers.{i}.fc1"},
    {"block.{i}.mlp.down", "layers.{i}.fc2"},
    {"block.{i}.mlp.after", "layers.{i}.final_layer_norm"},
    {"top", "final_layer_norm"},
    {"top_projection", "project_out"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.weight", "qa_outputs.*"};

}  // namespace

const Family kOpt{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
