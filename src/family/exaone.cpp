// EXAONE 4: norms behind the steps and over the heads of q and k; where blocks have windows only those rotate.
// transformers, src/transformers/models/exaone4/modeling_exaone4.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::optional<std::int64_t> window = c.nullable_size("sliding_window", 4096);
  const std::int64_t period = c.has("layer_types") || !window ? 1 : c.size("sliding_window_pattern", 4);
  const auto slides = [&](std::int64_t block) { return (block + 1) % period != 0; };
  LlamaTraits traits{.norms = LlamaTraits::Norms::kBehind,
                     .epsilon = 1e-5,
                     .qk_norm = HeadNorm::Span::kHead,
                     .kv_heads = 32,
                     .window = windows(c, window, slides)};
  traits.adapt = [&](std::int64_t, Attention& attention, Mixer&) {
    if (window && !attention.window) attention.rope.reset();
  };
  return describe_llama(c, traits);
}

constexpr std::string_view kTypes[] = {"exaone4"};

}  // namespace

const Family kExaone = llama_relative(kTypes, describe);

}  // namespace layerscope
