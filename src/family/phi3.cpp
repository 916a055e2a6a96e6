// Phi-3: Llama with q, k and v in one matrix, gate and up in another, and heads that may turn in part.
// transformers, src/transformers/models/phi3/modeling_phi3.py.
#include "family/llama.h"
#include "family/registry.h"

namespace layerscope {
namespace {

ModelSpec describe(Config& c) {
  const std::optional<std::int64_t> window = c.optional_size("sliding_window");
  return describe_llama(c, {.epsilon = 1e-5,
                            .rope = {.trained = 4096, .yarn_is_long = true},
                            .partial_rotation = true,
                            .window = [window](std::int64_t) { return window; }});
}

constexpr std::string_view kTypes[] = {"phi3"};

}  // namespace

const Family kPhi3 = llama_relative(kTypes, describe);

}  // namespace layerscope
