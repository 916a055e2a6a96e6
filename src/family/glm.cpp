// GLM and GLM-4 (0414): Llama-like blocks whose heads turn in part, pairs side by side; GLM-4 norms what a step adds as
// well. transformers, src/transformers/models/glm/modeling_glm.py and glm4/modeling_glm4.py.
#include <algorithm>
#include <cmath>

#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.size("head_dim", 128);
  const Norm norm{.kind = NormKind::kRms, .epsilon = c.epsilon("rms_norm_eps", 1.5625e-7)};
  const std::optional<Norm> post = c.model_type() == "glm4" ? std::optional(norm) : std::nullopt;
  const Attention attention{.heads = heads,
                            .kv_heads = c.size("num_key_value_heads", 2),
                            .d_qk = head,
                            .d_v = head,
                            .keys = KeySource::kSelfCausal,
                            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                            .rope = c.rope(head, {.partial = 0.5, .interleaved = true}),
                            .qkv_bias = c.flag("attention_bias", true)};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "silu"), .gated = true};

  ModelSpec spec{.width = width};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")},
                       .blocks = repeat(c.layers("num_hidden_layers"),
                                        {{Step{.slot = "attn", .pre = norm, .mixer = attention, .post = post},
                                          Step{.slot = "mlp", .pre = norm, .mixer = mlp, .post = post}}}),
                       .top = norm};
  if (c.architecture_ends_in({"ForCausalLM"})) spec.head = Head{.tied = c.flag("tie_word_embeddings", false)};
  return spec;
}

constexpr std::string_view kTypes[] = {"glm", "glm4"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.attn.post", "layers.{i}.post_self_attn_layernorm"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_up_proj", {.part = 0, .parts = 2}},
    {"block.{i}.mlp.up", "layers.{i}.mlp.gate_up_proj", {.part = 1, .parts = 2}},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"block.{i}.mlp.post", "layers.{i}.post_mlp_layernorm"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kGlm{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
