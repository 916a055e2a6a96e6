// GPT-2 (Radford et al. 2019): a pre-norm decoder, matrices stored [inputs, outputs].
// transformers, src/transformers/models/gpt2/modeling_gpt2.py.
#include <cmath>

#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("n_embd");
  const std::int64_t heads = c.size("n_head");
  const std::int64_t head = width / heads;
  c.require(width % heads == 0, "\"n_embd\" is not a multiple of \"n_head\"");
  c.only("add_cross_attention", false);
  c.alias("hidden_size", "n_embd");
  c.alias("max_position_embeddings", "n_positions");
  c.alias("num_attention_heads", "n_head");
  c.alias("num_hidden_layers", "n_layer");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  const double scale = c.flag("scale_attn_weights", true) ? 1 / std::sqrt(static_cast<double>(head)) : 1.0;
  const bool by_layer = c.flag("scale_attn_by_inverse_layer_idx", false);
  const Mlp mlp{.hidden = c.size("n_inner", 4 * width),
                .activation = c.activation("activation_function", "gelu_new"),
                .bias = true};

  ModelSpec spec{.width = width};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"),
                                     .positions = PositionTable{.rows = c.size("n_positions", 1024)}},
                       .top = norm};
  for (std::int64_t i = 0; i < c.layers("n_layer"); ++i) {
    const Attention attention{.heads = heads,
                              .kv_heads = heads,
                              .d_qk = head,
                              .d_v = head,
                              .keys = KeySource::kSelfCausal,
                              .scale = static_cast<float>(by_layer ? scale / static_cast<double>(i + 1) : scale),
                              .qkv_bias = true,
                              .out_bias = true};
    spec.decoder->blocks.push_back(
        {{Step{.slot = "attn", .pre = norm, .mixer = attention}, Step{.slot = "mlp", .pre = norm, .mixer = mlp}}});
  }
  return spec;
}

constexpr std::string_view kTypes[] = {"gpt2"};
constexpr std::string_view kPrefixes[] = {"", "transformer."};
constexpr Cut kTransposed{.transposed = true};
constexpr Bind kBinds[] = {
    {"embed.token", "wte"},
    {"embed.position", "wpe"},
    {"block.{i}.attn.pre", "h.{i}.ln_1"},
    {"block.{i}.attn.q", "h.{i}.attn.c_attn", {.part = 0, .parts = 3, .transposed = true}},
    {"block.{i}.attn.k", "h.{i}.attn.c_attn", {.part = 1, .parts = 3, .transposed = true}},
    {"block.{i}.attn.v", "h.{i}.attn.c_attn", {.part = 2, .parts = 3, .transposed = true}},
    {"block.{i}.attn.out", "h.{i}.attn.c_proj", kTransposed},
    {"block.{i}.mlp.pre", "h.{i}.ln_2"},
    {"block.{i}.mlp.up", "h.{i}.mlp.c_fc", kTransposed},
    {"block.{i}.mlp.down", "h.{i}.mlp.c_proj", kTransposed},
    {"top", "ln_f"},
};
constexpr std::string_view kIgnored[] = {"h.*.attn.bias", "h.*.attn.masked_bias", "lm_head.weight",
                                         "score.weight",  "classifier.*",         "multiple_choice_head.**"};

}  // namespace

const Family kGpt2{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
