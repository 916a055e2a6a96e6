// OLMo: norms without parameters, queries, keys and values clipped. OLMo 2: norms behind the steps, and over all heads
// of q and k. OLMo 3: the same with sliding windows, whose blocks keep the plain rotation.
// transformers, src/transformers/models/olmo/modeling_olmo.py, olmo2/modeling_olmo2.py, olmo3/modeling_olmo3.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe_first(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  LlamaTraits traits{
      .norm = Norm{.kind = NormKind::kLayer, .epsilon = 1e-5F, .weight = false}, .qkv_bias = bias, .out_bias = bias};
  c.ignore("clip_qkv");
  if (c.has("clip_qkv")) {
    traits.clip = static_cast<float>(c.real("clip_qkv"));
    c.require(*traits.clip > 0, "\"clip_qkv\" is not above 0");
  }
  return describe_llama(c, traits);
}

ModelSpec describe_later(Config& c) {
  const bool third = c.model_type() == "olmo3", bias = c.flag("attention_bias", false);
  LlamaTraits traits{.norms = LlamaTraits::Norms::kBehind,
                     .epsilon = 1e-5,
                     .qk_norm = HeadNorm::Span::kRow,
                     .qkv_bias = bias,
                     .out_bias = bias};
  if (!third) return describe_llama(c, traits);
  const auto slides = [](std::int64_t block) { return (block + 1) % 4 != 0; };
  traits.window = windows(c, c.nullable_size("sliding_window", 4096), slides);
  traits.rope = {.theta = 500000, .layer_type = "full_attention"};
  RopeDefaults plain = traits.rope;
  plain.layer_type = "sliding_attention";
  plain.scaled = false;
  traits.adapt = [&, sliding = sliding_layers(c, slides)](std::int64_t block, Attention& attention, Mixer&) {
    if (sliding[static_cast<std::size_t>(block)]) attention.rope = c.rope(attention.d_qk, plain);
  };
  return describe_llama(c, traits);
}

constexpr std::string_view kFirst[] = {"olmo"};
constexpr std::string_view kLater[] = {"olmo2", "olmo3"};

}  // namespace

const Family kOlmo = llama_relative(kFirst, describe_first);
const Family kOlmoLater = llama_relative(kLater, describe_later);

}  // namespace layerscope
