// Helium, ERNIE 4.5 and dense Hunyuan: Llama with other biases, pairs that turn side by side (the first two), and norms
// of queries and keys behind the rotation (the last). transformers, src/transformers/models/helium/modeling_helium.py,
// ernie4_5/modeling_ernie4_5.py and hunyuan_v1_dense/modeling_hunyuan_v1_dense.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe_helium(Config& c) {
  return describe_llama(c, {.epsilon = 1e-8,
                            .qkv_bias = c.flag("attention_bias", false),
                            .mlp_bias = c.flag("mlp_bias", false),
                            .head_dim = 128,
                            .kv_heads = 20,
                            .rope = {.theta = 100000, .interleaved = true}});
}

ModelSpec describe_ernie(Config& c) {
  const bool bias = c.flag("use_bias", false);
  return describe_llama(c, {.epsilon = 1e-5,
                            .qkv_bias = bias,
                            .out_bias = bias,
                            .mlp_bias = bias,
                            .head_dim = 128,
                            .kv_heads = 2,
                            .rope = {.theta = 500000, .interleaved = true},
                            .head = {.tied = true}});
}

ModelSpec describe_hunyuan(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  c.only("use_qk_norm", true);
  c.only("num_experts", std::int64_t{1});
  LlamaTraits traits{.epsilon = 1e-5,
                     .qk_norm = HeadNorm::Span::kHead,
                     .qkv_bias = bias,
                     .out_bias = bias,
                     .rope = {.fixed_alpha = true}};
  traits.adapt = [](std::int64_t, Attention& attention, Mixer&) { attention.norm_rotated = true; };
  return describe_llama(c, traits);
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

const Family kHelium = llama_relative(kHeliumTypes, describe_helium);
const Family kErnie45 = llama_relative(kErnieTypes, describe_ernie);
const Family kHunyuan{.model_types = kHunyuanTypes,
                      .describe = describe_hunyuan,
                      .binds = kHunyuanBinds,
                      .prefixes = kLlamaPrefixes,
                      .ignored = kLlamaIgnored};

}  // namespace layerscope
