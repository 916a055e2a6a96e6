// Mistral: Llama with a sliding window. transformers, src/transformers/models/mistral/modeling_mistral.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::optional<std::int64_t> window = c.nullable_size("sliding_window", 4096);
  return describe_llama(c, {.kv_heads = 8, .window = windows(c, window, [](std::int64_t) { return true; })});
}

constexpr std::string_view kTypes[] = {"mistral"};

}  // namespace

const Family kMistral{.model_types = kTypes,
                      .describe = describe,
                      .binds = kLlamaBinds,
                      .prefixes = kLlamaPrefixes,
                      .ignored = kLlamaIgnored};

}  // namespace layerscope
