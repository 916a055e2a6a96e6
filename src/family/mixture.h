// What Llama's relatives with experts share.
#pragma once

#include <functional>

#include "family/llama.h"

namespace layerscope {

/// Puts experts in the place of the MLPs of the blocks that `sparse` names, with the MLP's activation and, where
/// `experts.hidden` is 0, its width.
void put_experts(Config& config, LlamaTraits& traits, const Experts& experts,
                 const std::function<bool(std::int64_t block)>& sparse);

/// How many experts there are, under either of the field's names.
[[nodiscard]] std::int64_t expert_count(Config& config, std::int64_t fallback);

/// Llama's names, and those of experts by themselves or merged.
extern const std::span<const Bind> kMixtureBinds;

/// A family of those names.
[[nodiscard]] inline Family mixture(std::span<const std::string_view> types, ModelSpec (*describe)(Config&)) {
  return {.model_types = types,
          .describe = describe,
          .binds = kMixtureBinds,
          .prefixes = kLlamaPrefixes,
          .ignored = kLlamaIgnored};
}

}  // namespace layerscope
