// Nemotron (Parmar et al. 2024): layer norms whose stored weights lack 1, an ungated MLP of squared ReLUs, heads that
// turn in part. transformers, src/transformers/models/nemotron/modeling_nemotron.py.
#include <algorithm>
#include <cmath>

#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.optional_size("head_dim").value_or(std::max<std::int64_t>(width / heads, 1));
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("norm_eps", 1e-5), .bias = true, .offset = 1};
  const bool bias = c.flag("attention_bias", false);
  c.absent("rope_scaling");  // transformers 4 passes over it
  const Attention attention{.heads = heads,
                            .kv_heads = c.size("num_key_value_heads", heads),
                            .d_qk = head,
                            .d_v = head,
                            .keys = KeySource::kSelfCausal,
                            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                            .rope = c.rope(head, {.partial = 0.5}),
                            .qkv_bias = bias,
                            .out_bias = bias};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  const Mlp mlp{.hidden = c.size("intermediate_size"),
                .activation = c.activation("hidden_act", "relu2"),
                .bias = c.flag("mlp_bias", false)};

  ModelSpec spec{.width = width};
  spec.decoder =
      Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
            .blocks = repeat(c.layers("num_hidden_layers"), {{Step{.slot = "attn", .pre = norm, .mixer = attention},
                                                              Step{.slot = "mlp", .pre = norm, .mixer = mlp}}}),
            .top = norm};
  if (c.architecture_ends_in({"ForCausalLM"})) spec.head = Head{.tied = c.flag("tie_word_embeddings", false)};
  return spec;
}

constexpr std::string_view kTypes[] = {"nemotron"};
constexpr std::string_view kPrefixes[] = {"model.", "", "transformer."};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "qa_outputs.*",
                                         "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kNemotron{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
