// Helium, ERNIE 4.5 and dense Hunyuan: Llama with other biases, pairs that turn side by side (the first two), and norms
// of queries and keys behind the rotation (the last). transformers, src/transformers/models/helium/modeling_helium.py,
// ernie4_5/modeling_ernie4_5.py and hunyuan_v1_dense/modeling_hunyuan_v1_dense.py.
#include <cmath>

#include "family/llama_relative.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe_helium(Config& c) {
  const LlamaTraits traits{.qkv_bias = c.flag("attention_bias", false),
                           .mlp_bias = c.flag("mlp_bias", false),
                           .head_dim = 128,
                           .kv_heads = 20};
  return describe_relative(c, traits, {.theta = 100000, .epsilon = 1e-8, .interleaved = true});
}

ModelSpec describe_ernie(Config& c) {
  const bool bias = c.flag("use_bias", false);
  const LlamaTraits traits{
      .qkv_bias = bias, .out_bias = bias, .mlp_bias = bias, .head_dim = 128, .kv_heads = 2};
  return describe_relative(c, traits, {.theta = 500000, .epsilon = 1e-5, .interleaved = true, .tied = true});
}

ModelSpec describe_hunyuan(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  c.only("use_qk_norm", true);
  c.only("num_experts", std::int64_t{1});
  ModelSpec spec =
      describe_relative(c, {.qk_norm = HeadNorm::Span::kHead, .qkv_bias = bias, .out_bias = bias}, {.epsilon = 1e-5});
  const std::string settings = c.has("rope_parameters") ? "rope_parameters." : "rope_scaling.";
  const double alpha = c.real(settings + "alpha", 0.0);
  c.require(alpha >= 0, "\"alpha\" of the rotary settings is below 0");
  for_attentions(spec, [alpha](Attention& attention) {
    attention.norm_rotated = true;
    Rope& rope = *attention.rope;
    const auto* dynamic = std::get_if<DynamicFrequencies>(&rope.frequencies);
    if (dynamic == nullptr || alpha == 0) return;
    const auto turning = static_cast<double>(2 * rope.pairs);
    const double theta = dynamic->theta * std::pow(alpha, turning / (turning - 2));
    rope.frequencies = FixedFrequencies{.inverse = plain_frequencies(theta, 2 * rope.pairs)};
  });
  return spec;
}

constexpr std::string_view kHeliumTypes[] = {"helium"}, kErnieTypes[] = {"ernie4_5"},
                           kHunyuanTypes[] = {"hunyuan_v1_dense"};
constexpr Bind kHunyuanBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.input_layernorm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.query_layernorm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.key_layernorm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.o_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.post_attention_layernorm"},
    {"block.{i}.mlp.gate", "layers.{i}.mlp.gate_proj"},
    {"block.{i}.mlp.up", "layers.{i}.mlp.up_proj"},
    {"block.{i}.mlp.down", "layers.{i}.mlp.down_proj"},
    {"top", "norm"},
    {"head.out", "lm_head"},
};

}  // namespace

const Family kHelium{.model_types = kHeliumTypes,
                     .describe = describe_helium,
                     .binds = kMixtureBinds,
                     .prefixes = kLlamaPrefixes,
                     .ignored = kMixtureIgnored};
const Family kErnie45{.model_types = kErnieTypes,
                      .describe = describe_ernie,
                      .binds = kMixtureBinds,
                      .prefixes = kLlamaPrefixes,
                      .ignored = kMixtureIgnored};
const Family kHunyuan{.model_types = kHunyuanTypes,
                      .describe = describe_hunyuan,
                      .binds = kHunyuanBinds,
                      .prefixes = kLlamaPrefixes,
                      .ignored = kMixtureIgnored};

}  // namespace layerscope
