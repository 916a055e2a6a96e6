// XGLM (Lin et al. 2021): a pre-norm decoder with computed positions. BioGPT (Luo et al. 2022): the same with learned
// ones. Both leave the first two positions unused. transformers, src/transformers/models/xglm/modeling_xglm.py and
// biogpt/modeling_biogpt.py.
#include <cmath>

#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

struct Names {
  std::string_view width, heads, layers, hidden, activation;
};

ModelSpec describe_with(Config& c, const Names& names, std::int64_t positions, std::optional<Sinusoid> computed) {
  const std::int64_t width = c.size(names.width), heads = c.size(names.heads);
  const Norm norm{.kind = NormKind::kLayer, .epsilon = 1e-5F, .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.qkv_bias = attention.out_bias = true;
  const Mlp mlp{.hidden = c.size(names.hidden), .activation = c.activation(names.activation, "gelu"), .bias = true};
  const double scale = c.flag("scale_embedding", true) ? std::sqrt(static_cast<double>(width)) : 1.0;
  return {.width = width,
          .decoder =
              Stack{.embedding = {.vocabulary_size = c.size("vocab_size"),
                                  .scale = static_cast<float>(scale),
                                  .positions = PositionTable{.rows = positions + 2, .offset = 2, .computed = computed}},
                    .blocks = repeat(c.layers(names.layers), pre_norm_block(norm, attention, mlp)),
                    .top = norm},
          .head = language_head(c, true)};
}

ModelSpec describe_xglm(Config& c) {
  c.alias("num_attention_heads", "attention_heads");
  c.alias("hidden_size", "d_model");
  c.alias("num_hidden_layers", "num_layers");
  const std::int64_t padding = c.index("pad_token_id", 1);
  c.require(padding < 2, "\"pad_token_id\" is " + std::to_string(padding) +
                             ", which zeroes the position of that number: expected 0 or 1");
  return describe_with(c, {"d_model", "attention_heads", "num_layers", "ffn_dim", "activation_function"},
                       c.size("max_position_embeddings", 2048), Sinusoid::kEndpointRates);
}

ModelSpec describe_biogpt(Config& c) {
  return causal_or_not(
      c,
      describe_with(c, {"hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size", "hidden_act"},
                    c.size("max_position_embeddings", 1024), std::nullopt));
}

constexpr std::string_view kTypes[] = {"xglm"}, kBioGptTypes[] = {"biogpt"};
constexpr std::string_view kPrefixes[] = {"model.", "biogpt.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"embed.position", "embed_positions"},
    {"block.{i}.attn.pre", "layers.{i}.self_attn_layer_norm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.out_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.final_layer_norm"},
    {"block.{i}.mlp.up", "layers.{i}.fc1"},
    {"block.{i}.mlp.down", "layers.{i}.fc2"},
    {"top", "layer_norm"},
    {"head.out", "lm_head"},
    {"head.out", "output_projection"},
};
constexpr std::string_view kIgnored[] = {"embed_positions.weights", "lm_head.weight", "output_projection.weight",
                                         "score.weight", "classifier.*"};

}  // namespace

const Family kXglm{
    .model_types = kTypes, .describe = describe_xglm, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};
const Family kBioGpt{.model_types = kBioGptTypes,
                     .describe = describe_biogpt,
                     .binds = kBinds,
                     .prefixes = kPrefixes,
                     .ignored = kIgnored};

}  // namespace layerscope
