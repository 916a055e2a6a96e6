// Mixtral (Jiang et al. 2024) and Granite with experts: Llama with a router and its experts for the MLP.
// transformers, src/transformers/models/mixtral/modeling_mixtral.py and granitemoe/modeling_granitemoe.py.
#include "family/llama_relative.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe_mixtral(Config& c) {
  const std::optional<std::int64_t> window = c.optional_size("sliding_window");
  ModelSpec spec = describe_relative(c, {.kv_heads = 8, .window = [window](std::int64_t) { return window; }},
                                     {.theta = 1e6, .epsilon = 1e-5});
  const Router router{
      .experts = expert_count(c, 8), .chosen = c.size("num_experts_per_tok", 2), .renormalise = true};
  put_experts(c, spec, {.router = router}, [](std::int64_t) { return true; });
  return spec;
}

ModelSpec describe_granite(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  c.only("position_embedding_type", "rope");
  ModelSpec spec = describe_relative(c, {.qkv_bias = bias, .out_bias = bias}, {});
  const Router router{.rule = Router::Rule::kTopThenSoftmax,
                      .experts = expert_count(c, 8),
                      .chosen = c.size("num_experts_per_tok", 2)};
  put_experts(c, spec, {.router = router}, [](std::int64_t) { return true; });
  const auto scale = static_cast<float>(c.real("attention_multiplier", 1.0));
  for_attentions(spec, [scale](Attention& attention) { attention.scale = scale; });
  for (Block& block : spec.decoder->blocks) {
    for (Step& step : block.steps) step.scale = static_cast<float>(c.real("residual_multiplier", 1.0));
  }
  spec.decoder->embedding.scale = static_cast<float>(c.real("embedding_multiplier", 1.0));
  const double divisor = c.real("logits_scaling", 1.0);
  c.require(divisor != 0, "\"logits_scaling\" is 0");
  if (spec.head) spec.head->scale = static_cast<float>(1 / divisor);
  return spec;
}

constexpr std::string_view kMixtralTypes[] = {"mixtral"}, kGraniteTypes[] = {"granitemoe"};

}  // namespace

const Family kMixtral{.model_types = kMixtralTypes,
                      .describe = describe_mixtral,
                      .binds = kMixtureBinds,
                      .prefixes = kLlamaPrefixes,
                      .ignored = kMixtureIgnored};
const Family kGraniteMoe{.model_types = kGraniteTypes,
                         .describe = describe_granite,
                         .binds = kMixtureBinds,
                         .prefixes = kLlamaPrefixes,
                         .ignored = kMixtureIgnored};

}  // namespace layerscope
