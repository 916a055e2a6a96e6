// Gemma 1 to 3: norms with 1 + weight, an embedding scaled by sqrt(width); from the second on norms around every step.
// transformers, src/transformers/models/gemma/modeling_gemma.py, gemma2/modeling_gemma2.py, gemma3/modeling_gemma3.py.
#include <cmath>

#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

std::optional<float> cap(Config& c, std::string_view key, std::optional<float> fallback) {
  const Json* value = c.json().find(key);
  const bool absent = value == nullptr;
  c.ignore(key);
  if (absent || value->is_null()) return absent ? fallback : std::nullopt;
  const double limit = c.real(key);
  c.require(limit > 0, "\"" + std::string(key) + "\" is not above 0");
  return static_cast<float>(limit);
}

LlamaTraits gemma_traits(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  // transformers rounds the factor to the dtype of the weights; here it is a float32, whatever the weights are stored
  // in
  const double scale = std::sqrt(static_cast<double>(c.size("hidden_size")));
  return {.norm_offset = 1,
          .qkv_bias = bias,
          .out_bias = bias,
          .head_dim = 256,
          .activation_key = "hidden_activation",
          .activation = "gelu_pytorch_tanh",
          .embedding_scale = static_cast<float>(scale),
          .head = {.tied = true}};
}

ModelSpec describe_first(Config& c) {
  LlamaTraits traits = gemma_traits(c);
  traits.kv_heads = 16;
  // "gelu" is what the first releases say where they mean its approximation
  const bool old_name = c.text("hidden_act", traits.activation) == "gelu";
  traits.activation_key = old_name ? "" : "hidden_act";
  return describe_llama(c, traits);
}

ModelSpec describe_later(Config& c) {
  const bool third = c.model_type() == "gemma3_text";
  LlamaTraits traits = gemma_traits(c);
  traits.norms = LlamaTraits::Norms::kAround;
  traits.kv_heads = 4;
  traits.scale = static_cast<float>(1 / std::sqrt(c.real("query_pre_attn_scalar", 256)));
  c.require(std::isfinite(*traits.scale), "\"query_pre_attn_scalar\" is not above 0");
  traits.head.softcap = cap(c, "final_logit_softcapping", third ? std::nullopt : std::optional<float>(30.0F));
  std::optional<std::int64_t> window = c.nullable_size("sliding_window", 4096);
  const std::int64_t period = third ? c.size("sliding_window_pattern", 6) : 2;
  const auto slides = [&](std::int64_t block) { return (block + 1) % period != 0; };
  if (!third) {
    traits.softcap = cap(c, "attn_logit_softcapping", 50.0F);
    traits.window = windows(c, window, slides);
    return describe_llama(c, traits);
  }
  c.ignore("attn_logit_softcapping");  // read by transformers and used by none of its attentions
  traits.both_ways = c.flag("use_bidirectional_attention", false);
  if (traits.both_ways && window) *window = *window / 2 + 1;
  traits.window = windows(c, window, slides);
  traits.qk_norm = HeadNorm::Span::kHead;
  traits.rope = {.theta = 1000000, .layer_type = "full_attention"};
  const std::int64_t head = c.nullable_size("head_dim", 256).value_or(256);
  const Rope local =
      c.rope(head, {.theta_key = "rope_local_base_freq", .layer_type = "sliding_attention", .scaled = false});
  traits.adapt = [&, sliding = sliding_layers(c, slides)](std::int64_t block, Attention& attention, Mixer&) {
    if (sliding[static_cast<std::size_t>(block)]) attention.rope = local;
  };
  return describe_llama(c, traits);
}

constexpr std::string_view kFirst[] = {"gemma"};
constexpr std::string_view kLater[] = {"gemma2", "gemma3_text"};

}  // namespace

const Family kGemma = llama_relative(kFirst, describe_first);
const Family kGemmaLater = llama_relative(kLater, describe_later);

}  // namespace layerscope
