// Apertus: an ungated MLP with a learned activation, norms over the heads of q and k. transformers,
// src/transformers/models/apertus/modeling_apertus.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool bias = c.flag("attention_bias", false);
  const bool learned = c.text("hidden_act", "xielu") == "xielu";
  c.require(c.has("rope_parameters") || c.json().find("rope_scaling") != nullptr,
            "neither \"rope_parameters\" nor \"rope_scaling\" is there, expected the rotary settings");
  LlamaTraits traits{.epsilon = 1e-5,
                     .qk_norm = HeadNorm::Span::kHead,
                     .qkv_bias = bias,
                     .out_bias = bias,
                     .rope = {.theta = 12000000},
                     .gated = false};
  // transformers 4 keeps the activation's numbers in bfloat16, whatever the dtype of the model
  if (learned) traits.xielu = Xielu{.narrow = !c.has("rope_parameters")};
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"apertus"};
constexpr std::string_view kIgnored[] = {"lm_head.weight", "score.*", "layers.*.mlp.act_fn.beta",
                                         "layers.*.mlp.act_fn.eps"};

}  // namespace

const Family kApertus{
    .model_types = kTypes, .describe = describe, .binds = kLlamaBinds, .prefixes = kLlamaPrefixes, .ignored = kIgnored};

}  // namespace layerscope
