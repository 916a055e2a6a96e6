// BLOOM (Le Scao et al. 2022): a pre-norm decoder with a norm behind the embedding, scores that fall with distance, and
// q, k and v of a head next to each other. transformers, src/transformers/models/bloom/modeling_bloom.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.alias("n_embed", "hidden_size");
  c.alias("num_hidden_layers", "n_layer");
  c.alias("num_attention_heads", "n_head");
  const std::int64_t width = c.size("hidden_size"), heads = c.size("n_head");
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, heads);
  attention.score = falling_scores(c, heads);
  attention.qkv_bias = attention.out_bias = true;
  const Mlp mlp{.hidden = 4 * width, .activation = Activation::kGeluTanh, .bias = true};
  // With both of them set, transformers leaves out the biases of two matrices.
  if (c.size("pretraining_tp", 1) > 1) c.only("slow_but_exact", false);
  Block block = pre_norm_block(norm, attention, mlp);
  for (Step& step : block.steps) step.carries_pre = c.flag("apply_residual_connection_post_layernorm", false);
  return {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size"), .norm = norm},
                           .blocks = repeat(c.layers("n_layer"), block),
                           .top = norm},
          .head = language_head(c, true)};
}

constexpr std::string_view kTypes[] = {"bloom"};
constexpr std::string_view kPrefixes[] = {"", "transformer."};
constexpr Bind kBinds[] = {
    {"embed.token", "word_embeddings"},
    {"embed.norm", "word_embeddings_layernorm"},
    {"block.{i}.attn.pre", "h.{i}.input_layernorm"},
    {"block.{i}.attn.q",
     "h.{i}.self_attention.query_key_value",
     {.part = 0, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.k",
     "h.{i}.self_attention.query_key_value",
     {.part = 1, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.v",
     "h.{i}.self_attention.query_key_value",
     {.part = 2, .groups = Cut::Groups::kKeyHeads, .qkv = true}},
    {"block.{i}.attn.out", "h.{i}.self_attention.dense"},
    {"block.{i}.mlp.pre", "h.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "h.{i}.mlp.dense_h_to_4h"},
    {"block.{i}.mlp.down", "h.{i}.mlp.dense_4h_to_h"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.weight", "classifier.*", "qa_outputs.*"};

}  // namespace

const Family kBloom{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
