// LFM2 (Liquid AI 2025): short convolutions, with attention in some of the layers.
// transformers, src/transformers/models/lfm2/modeling_lfm2.py.
#include <algorithm>
#include <cmath>

#include "family/decoder.h"
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

std::int64_t hidden_of(Config& c) {
  const std::int64_t full = c.has("block_ff_dim") ? c.size("block_ff_dim") : c.size("intermediate_size", 12288);
  c.ignore("intermediate_size");
  const std::int64_t multiple = c.size("block_multiple_of", 256);
  if (!c.flag("block_auto_adjust_ff_dim", true)) return full;
  const std::int64_t adjusted = 2 * full / 3;
  const Json* factor = c.json().find("block_ffn_dim_multiplier");
  if (factor != nullptr && factor->is_null()) return adjusted;
  const double scaled = c.real("block_ffn_dim_multiplier", 1.0) * static_cast<double>(adjusted);
  if (!(scaled >= 1 && scaled <= static_cast<double>(kMaxConfigSize))) {
    c.refuse("\"block_ffn_dim_multiplier\" gives the MLP no width from 1 to 2^28");
    return full;
  }
  return (static_cast<std::int64_t>(scaled) + multiple - 1) / multiple * multiple;
}

std::vector<bool> attention_layers(Config& c, std::int64_t layers) {
  std::vector<bool> result(static_cast<std::size_t>(layers), true);
  const std::optional<std::vector<std::int64_t>> full = c.indices("full_attn_idxs");
  const std::optional<std::vector<std::string>> types = c.texts("layer_types");
  c.require(!types || types->size() == result.size(), "\"layer_types\" does not name one type a layer");
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (types && i < types->size()) {
      const std::string& type = (*types)[i];
      c.require(type == "full_attention" || type == "conv",
                "\"layer_types\" names \"" + type + "\", expected full_attention or conv");
      result[i] = type == "full_attention";
    } else if (full) {
      result[i] = std::find(full->begin(), full->end(), static_cast<std::int64_t>(i)) != full->end();
    }
  }
  return result;
}

ModelSpec describe(Config& c) {
  const std::int64_t width = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const std::int64_t head = c.nullable_size("head_dim", {}).value_or(std::max<std::int64_t>(width / heads, 1));
  const Norm norm{.kind = NormKind::kRms, .epsilon = c.epsilon("norm_eps", 1e-5)};
  c.alias("theta", "rope_theta");
  const Attention attention{.heads = heads,
                            .kv_heads = c.nullable_size("num_key_value_heads", 8).value_or(heads),
                            .d_qk = head,
                            .d_v = head,
                            .keys = KeySource::kSelfCausal,
                            .scale = static_cast<float>(1 / std::sqrt(static_cast<double>(head))),
                            .rope = c.rope(head, {.theta = 1e6}),
                            .q_norm = HeadNorm{norm},
                            .k_norm = HeadNorm{norm}};
  c.require(heads % attention.kv_heads == 0, "\"num_attention_heads\" is not a multiple of \"num_key_value_heads\"");
  const ShortConv conv{.taps = c.size("conv_L_cache", 3), .bias = c.flag("conv_bias", false)};
  const Mlp mlp{.hidden = hidden_of(c), .activation = Activation::kSilu, .gated = true};
  ModelSpec spec{.width = width, .head = language_head(c, true)};
  if (spec.head) spec.head->tied = c.flag("tie_embedding", spec.head->tied);
  spec.decoder = Stack{.embedding = {.vocabulary_size = c.size("vocab_size")}, .top = norm};
  for (const bool attends : attention_layers(c, c.layers("num_hidden_layers"))) {
    Step first{.slot = attends ? "attn" : "conv", .pre = norm, .mixer = attention};
    if (!attends) first.mixer = conv;
    spec.decoder->blocks.push_back({{first, Step{.slot = "mlp", .pre = norm, .mixer = mlp}}});
  }
  return spec;
}

constexpr std::string_view kTypes[] = {"lfm2"};
constexpr Bind kBinds[] = {
    {"embed.token", "embed_tokens"},
    {"block.{i}.attn.pre", "layers.{i}.operator_norm"},
    {"block.{i}.attn.q", "layers.{i}.self_attn.q_proj"},
    {"block.{i}.attn.k", "layers.{i}.self_attn.k_proj"},
    {"block.{i}.attn.v", "layers.{i}.self_attn.v_proj"},
    {"block.{i}.attn.q_norm", "layers.{i}.self_attn.q_layernorm"},
    {"block.{i}.attn.k_norm", "layers.{i}.self_attn.k_layernorm"},
    {"block.{i}.attn.out", "layers.{i}.self_attn.out_proj"},
    {"block.{i}.conv.pre", "layers.{i}.operator_norm"},
    {"block.{i}.conv.in", "layers.{i}.conv.in_proj"},
    {"block.{i}.conv.taps", "layers.{i}.conv.conv"},
    {"block.{i}.conv.out", "layers.{i}.conv.out_proj"},
    {"block.{i}.mlp.pre", "layers.{i}.ffn_norm"},
    {"block.{i}.mlp.gate", "layers.{i}.feed_forward.w1"},
    {"block.{i}.mlp.up", "layers.{i}.feed_forward.w3"},
    {"block.{i}.mlp.down", "layers.{i}.feed_forward.w2"},
    {"top", "embedding_norm"},
    {"head.out", "lm_head"},
};
constexpr std::string_view kIgnored[] = {"lm_head.weight"};

}  // namespace

const Family kLfm2{
    .model_types = kTypes, .describe = describe, .binds = kBinds, .prefixes = kLlamaPrefixes, .ignored = kIgnored};

}  // namespace layerscope
