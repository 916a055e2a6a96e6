// Cohere and Cohere2: attention and MLP side by side behind one norm without a bias, pairs that turn side by side. In
// Cohere2 only the blocks with a window know positions.
// transformers, src/transformers/models/cohere/modeling_cohere.py and cohere2/modeling_cohere2.py.
#include <algorithm>
#include <cmath>

#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool second = c.model_type() == "cohere2";
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.optional_size("head_dim").value_or(std::max<std::int64_t>(width / heads, 1));
  const Norm norm{.kind = NormKind::kLayer, .epsilon = c.epsilon("layer_norm_eps", 1e-5)};
  const bool bias = c.flag("attention_bias", false);
  const Rope rope = c.rope(head, {.theta = second ? 10000.0 : 500000.0, .interleaved = true});
  c.require(2 * rope.pairs == head, "\"partial_rotary_factor\" is not 1");
  Attention attention{.heads = heads,
                      .kv_heads = c.size("num_key_value_heads", heads),
                      .d_qk = head,
                      .d_v = head,
                      .keys = KeySource::kSelfCausal,
                      .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                      .rope = rope,
                      .qkv_bias = bias,
                      .out_bias = bias};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  if (!second && c.flag("use_qk_norm", false))
    attention.q_norm = attention.k_norm = HeadNorm{.norm = norm, .span = HeadNorm::Span::kEachHead};
  const Mlp mlp{.hidden = c.size("intermediate_size"), .activation = c.activation("hidden_act", "silu"), .gated = true};

  std::function<std::optional<std::int64_t>(std::int64_t)> window;
  if (second) {
    const std::optional<std::int64_t> span = c.nullable_size("sliding_window", 4096);
    const std::int64_t pattern = c.size("sliding_window_pattern", 4);
    c.require(span.has_value(), "\"sliding_window\" is null, expected a number of tokens");
    window = windows(c, span, [pattern](std::int64_t block) { return (block + 1) % pattern != 0; });
    c.only("position_embedding_type", "rope_gptj");
    c.only("use_parallel_block", true);
    c.only("use_gated_activation", true);
    c.require(c.real("rotary_pct", 1) == 1, "\"rotary_pct\" is not 1");
  }
  ModelSpec spec{.width = width};
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")}, .top = norm};
  for (std::int64_t i = 0; i < c.layers("num_hidden_layers"); ++i) {
    if (second) attention.window = window(i);
    attention.rope = second && !attention.window ? std::nullopt : std::optional(rope);
    spec.decoder->blocks.push_back(
        {{Step{.slot = "attn", .pre = norm, .mixer = attention},
          Step{.slot = "mlp", .reads = Step::Reads::kBlockInput, .pre = norm, .mixer = mlp}}});
  }
  const auto scale = static_cast<float>(c.real("logit_scale", 0.0625));
  if (c.architecture_ends_in({"ForCausalLM"}))
    spec.head = Head{.tied = c.flag("tie_word_embeddings", true), .scale = scale};
  return spec;
}

constexpr std::string_view kTypes[] = {"cohere", "cohere2"};
constexpr std::string_view kPrefixes[] = {"model.", ""};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {.slot = "block.{i}.attn.pre", .source = "layers.{i}.input_layernorm", .shared = true},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_norm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_norm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {.slot = "block.{i}.mlp.pre", .source = "layers.{i}.input_layernorm", .shared = true},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "layers.*.self_attn.rotary_emb.inv_freq"};

}  // namespace

const Family kCohere{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kPrefixes, .ignored = kIgnored};

}  // namespace layerscope
