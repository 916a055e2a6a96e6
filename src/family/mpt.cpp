// MPT (MosaicML 2023): a pre-norm decoder without biases, scores that fall with distance.
// transformers, src/transformers/models/mpt/modeling_mpt.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.alias("hidden_size", "d_model");
  c.alias("num_attention_heads", "n_heads");
  c.alias("num_hidden_layers", "n_layers");
  const std::int64_t width = c.size("d_model"), heads = c.size("n_heads");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5)};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.scale = static_cast<float>(c.real("attn_config.softmax_scale", attention.scale));
  attention.score = falling_scores(c, heads);
  const double clip = c.real("attn_config.clip_qkv", 0);
  c.require(clip >= 0, "\"attn_config.clip_qkv\" is negative, expected a limit of absolute values");
  if (clip > 0) attention.clip = static_cast<float>(clip);
  // Of these transformers reads none. Biases, norms over q and k, and learned positions would show as tensors.
  c.only("attn_config.alibi", true);
  c.only("attn_config.alibi_bias_max", std::int64_t{8});
  c.only("attn_config.attn_type", "multihead_attention");
  c.only("attn_config.attn_uses_sequence_id", false);
  c.only("attn_config.prefix_lm", false);
  c.ignore("auto_map");
  const Mlp mlp{.hidden = 4 * width, .activation = Activation::kGeluErf};
  return {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("n_layers"), pre_norm_block(norm, attention, mlp)),
                           .top = norm},
          .head = language_head(c, true)};
}

constexpr std::string_view kTypes[] = {"mpt"};
constexpr std::string_view kPrefixes[] = {"transformer.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "wte"},
    {"block.{i}.attn.pre", "blocks.{i}.norm_1"},
    {"block.{i}.attn.q", "blocks.{i}.attn.Wqkv", {.part = 0, .parts = 3}},
    {"block.{i}.attn.k", "blocks.{i}.attn.Wqkv", {.part = 1, .parts = 3}},
    {"block.{i}.attn.v", "blocks.{i}.attn.Wqkv", {.part = 2, .parts = 3}},
    {"block.{i}.attn.out", "blocks.{i}.attn.out_proj"},
    {"block.{i}.mlp.pre", "blocks.{i}.norm_2"},
    {"block.{i}.mlp.up", "blocks.{i}.ffn.up_proj"},
    {"block.{i}.mlp.down", "blocks.{i}.ffn.down_proj"},
    {"top", "norm_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.weight", "classifier.*", "qa_outputs.*"};

}  // namespace

const Family kMpt{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
