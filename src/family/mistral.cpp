// Mistral and Ministral: Llama with sliding windows. A Mistral with "layer_types" is a Ministral (transformers,
// configuration_auto.py). transformers, src/transformers/models/mistral/modeling_mistral.py,
// ministral/modeling_ministral.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::optional<std::int64_t> window = c.nullable_size("sliding_window", 4096);
  return describe_llama(c, {.kv_heads = 8, .window = windows(c, window, [](std::int64_t) { return true; })});
}

constexpr std::string_view kTypes[] = {"mistral", "ministral"};

}  // namespace

const Family kMistral = llama_relative(kTypes, describe);

}  // namespace layerscope
