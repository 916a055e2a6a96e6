// Qwen2: Llama with biases on q, k and v. Qwen3: with norms over the heads of q and k instead.
// transformers, src/transformers/models/qwen2/modeling_qwen2.py and qwen3/modeling_qwen3.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const bool third = c.model_type() == "qwen3";
  const std::optional<std::int64_t> window =
      c.flag("use_sliding_window", false) ? c.nullable_size("sliding_window", 4096) : std::nullopt;
  c.ignore("sliding_window");
  const std::int64_t full_layers = c.index("max_window_layers", 28);
  const bool bias = third && c.flag("attention_bias", false);
  LlamaTraits traits{.qkv_bias = bias || !third,
                     .out_bias = bias,
                     .kv_heads = 32,
                     .window = windows(c, window, [&](std::int64_t block) { return block >= full_layers; })};
  if (third) {
    traits.qk_norm = HeadNorm::Span::kHead;
    traits.head_dim = 128;
  }
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"qwen2", "qwen3"};

}  // namespace

const Family kQwen = llama_relative(kTypes, describe);

}  // namespace layerscope
