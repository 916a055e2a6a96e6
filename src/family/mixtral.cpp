// Mixtral (Jiang et al. 2024) and Granite with experts: Llama with a router and its experts for the MLP.
// transformers, src/transformers/models/mixtral/modeling_mixtral.py and granitemoe/modeling_granitemoe.py.
#include <cmath>

#include "family/mixture.h"
#include "family/registry.h"

namespace layerscope {
namespace {

bool everywhere(std::int64_t) { return true; }

ModelSpec describe_mixtral(Config& c) {
  LlamaTraits traits{.epsilon = 1e-5, .kv_heads = 8, .rope = {.theta = 1e6}};
  traits.window = [window = c.optional_size("sliding_window")](std::int64_t) { return window; };
  const Router router{.experts = expert_count(c, 8), .chosen = c.size("num_experts_per_tok", 2), .renormalise = true};
  put_experts(c, traits, {.router = router}, everywhere);
  return describe_llama(c, traits);
}

ModelSpec describe_granite(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  c.only("position_embedding_type", "rope");
  LlamaTraits traits{.qkv_bias = bias,
                     .out_bias = bias,
                     .scale = static_cast<float>(c.real("attention_multiplier", 1)),
                     .embedding_scale = static_cast<float>(c.real("embedding_multiplier", 1)),
                     .residual_scale = static_cast<float>(c.real("residual_multiplier", 1))};
  traits.head.scale = static_cast<float>(1 / c.real("logits_scaling", 1));
  c.require(std::isfinite(traits.head.scale), "\"logits_scaling\" is 0, expected a divisor");
  const Router router{
      .rule = Router::Rule::kTopThenSoftmax, .experts = expert_count(c, 8), .chosen = c.size("num_experts_per_tok", 2)};
  put_experts(c, traits, {.router = router}, everywhere);
  return describe_llama(c, traits);
}

constexpr std::string_view kMixtralTypes[] = {"mixtral"}, kGraniteTypes[] = {"granitemoe"};

}  // namespace

const Family kMixtral = mixture(kMixtralTypes, describe_mixtral);
const Family kGraniteMoe = mixture(kGraniteTypes, describe_granite);

}  // namespace layerscope
