// SmolLM3: Llama in which every fourth block does not rotate. transformers,
// src/transformers/models/smollm3/modeling_smollm3.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool bias = c.flag("attention_bias", false), may_slide = c.flag("use_sliding_window", false);
  const std::int64_t layers = c.layers("num_hidden_layers"), period = c.size("no_rope_layer_interval", 4);
  std::vector<std::int64_t> turning;
  for (std::int64_t i = 0; i < layers; ++i) turning.push_back((i + 1) % period != 0 ? 1 : 0);
  turning = c.indices("no_rope_layers").value_or(turning);
  c.require(static_cast<std::int64_t>(turning.size()) >= layers, "\"no_rope_layers\" does not name every layer");
  turning.resize(static_cast<std::size_t>(layers));
  const auto turns = [&](std::int64_t block) { return turning[static_cast<std::size_t>(block)] != 0; };
  const auto slides = [&](std::int64_t block) { return may_slide && !turns(block); };
  LlamaTraits traits{.qkv_bias = bias,
                     .out_bias = bias,
                     .mlp_bias = c.flag("mlp_bias", false),
                     .kv_heads = 4,
                     .rope = {.theta = 2000000},
                     .window = windows(c, c.optional_size("sliding_window"), slides),
                     .head = {.tied = true}};
  traits.adapt = [&](std::int64_t block, Attention& attention, Mixer&) {
    if (!turns(block)) attention.rope.reset();
  };
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"smollm3"};

}  // namespace

const Family kSmolLm = llama_relative(kTypes, describe);

}  // namespace layerscope
