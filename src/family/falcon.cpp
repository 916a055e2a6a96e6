// Falcon (Almazrouei et al. 2023): attention and MLP side by side under one norm or two, or one after the other; one
// key head, few or as many as queries, each key head's queries in front of it. transformers,
// src/transformers/models/falcon/modeling_falcon.py.
#include "family/decoder.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  c.alias("n_embed", "hidden_size");
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const bool grouped = c.flag("new_decoder_architecture", false);
  const bool parallel = c.flag("parallel_attn", true), bias = c.flag("bias", false);
  const std::int64_t few = c.size("num_kv_heads", heads);
  const bool single = !grouped && c.flag("multi_query", true);
  c.require(grouped || single || few == heads,
            "\"num_kv_heads\" is not \"num_attention_heads\", expected so where "
            "\"multi_query\" is false");
  c.require(!grouped || parallel, "\"parallel_attn\" is false, expected true with \"new_decoder_architecture\"");
  const std::int64_t norms = c.size("num_ln_in_parallel_attn", grouped ? 2 : 1);
  c.require(!parallel || norms == 1 || (grouped && norms == 2),
            "\"num_ln_in_parallel_attn\" is " + std::to_string(norms) + ", expected 1" + (grouped ? " or 2" : ""));
  const Order order = !parallel ? Order::kSequential : norms == 2 ? Order::kParallel : Order::kParallelOneNorm;
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_epsilon", 1e-5), .bias = true};
  Attention attention = causal_attention(c, head_width(c, width, heads), heads, single ? 1 : grouped ? few : heads);
  attention.rope = whole_rope(c, attention.d_qk);
  attention.qkv_bias = attention.out_bias = bias;
  c.ignore("auto_map");
  c.require(!c.flag("alibi", false),
            "\"alibi\" is true: transformers' own two ways of attention differ in it (the term "
            "is added once or twice), so it is not supported");
  const Mlp mlp{
      .hidden = c.size("ffn_hidden_size", 4 * width), .activation = c.activation("activation", "gelu"), .bias = bias};
  return {.width = width,
          .decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                           .blocks = repeat(c.layers("num_hidden_layers"), pre_norm_block(norm, attention, mlp, order)),
                           .top = norm},
          .head = language_head(c, true)};
}

constexpr std::string_view kTypes[] = {"falcon"};
constexpr std::string_view kPrefixes[] = {"transformer.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "word_embeddings"},
    {"block.{i}.attn.pre", "h.{i}.ln_attn"},
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
    {"block.{i}.mlp.pre", "h.{i}.ln_mlp"},
    {"block.{i}.mlp.pre", "h.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "h.{i}.mlp.dense_h_to_4h"},
    {"block.{i}.mlp.down", "h.{i}.mlp.dense_4h_to_h"},
    {"top", "ln_f"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight",
                                         "score.weight",
                                         "classifier.*",
                                         "qa_outputs.*",
                                         "h.*.self_attention.rotary_emb.inv_freq",
                                         "h.*.self_attention.maybe_rotary.inv_freq"};

}  // namespace

const Family kFalcon{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
