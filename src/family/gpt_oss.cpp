// gpt-oss (OpenAI 2025): Llama with experts that have biases and clamped gates, attention sinks and a window in every
// other layer. transformers, src/transformers/models/gpt_oss/modeling_gpt_oss.py.
#include "family/mixture.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool bias = c.flag("attention_bias", true);
  const bool rotary = c.json().find("rope_parameters") != nullptr || c.json().find("rope_scaling") != nullptr;
  c.require(rotary, "neither \"rope_parameters\" nor \"rope_scaling\" is there, expected one of them (null for none)");
  c.alias("experts_per_token", "num_experts_per_tok");
  LlamaTraits traits{
      .epsilon = 1e-5, .qkv_bias = bias, .out_bias = bias, .head_dim = 64, .kv_heads = 8, .rope = {.theta = 150000}};
  traits.window = windows(c, c.nullable_size("sliding_window", 128), [](std::int64_t block) { return block % 2 == 0; });
  const Experts experts{.router = {.rule = Router::Rule::kTopThenSoftmax,
                                   .experts = expert_count(c, 128),
                                   .chosen = c.size("num_experts_per_tok", 4),
                                   .bias = true},
                        .clamped = ClampedGate{.limit = static_cast<float>(c.real("swiglu_limit", 7.0)),
                                               .alpha = static_cast<float>(c.real("swiglu_alpha", 1.702))},
                        .bias = true};
  put_experts(c, traits, experts, [](std::int64_t) { return true; });
  traits.adapt = [experts = traits.adapt](std::int64_t block, Attention& attention, Mixer& mlp) {
    attention.sinks = true;
    experts(block, attention, mlp);
  };
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"gpt_oss"};
constexpr Cut kEven{.part = 0, .parts = 2, .transposed = true, .groups = Cut::Groups::kRows, .expert = true};
constexpr Cut kOdd{.part = 1, .parts = 2, .transposed = true, .groups = Cut::Groups::kRows, .expert = true};
constexpr Cut kWhole{.transposed = true, .expert = true};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.sinks", "layers.{i}.self_attn.sinks!"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.router", "layers.{i}.mlp.router"},
    {"block.{i}.mlp.experts.{e}.gate.weight", "layers.{i}.mlp.experts.gate_up_proj!", kEven},
    {"block.{i}.mlp.experts.{e}.gate.bias", "layers.{i}.mlp.experts.gate_up_proj_bias!", kEven},
    {"block.{i}.mlp.experts.{e}.up.weight", "layers.{i}.mlp.experts.gate_up_proj!", kOdd},
    {"block.{i}.mlp.experts.{e}.up.bias", "layers.{i}.mlp.experts.gate_up_proj_bias!", kOdd},
    {"block.{i}.mlp.experts.{e}.down.weight", "layers.{i}.mlp.experts.down_proj!", kWhole},
    {"block.{i}.mlp.experts.{e}.down.bias", "layers.{i}.mlp.experts.down_proj_bias!", kWhole},
    {"top", "norm"},
    {"head.out", "lm_head"},
};

}  // namespace

const Family kGptOss{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kLlamaPrefixes, .ignored = kLlamaIgnored};

}  // namespace layerscope
