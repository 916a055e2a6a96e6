// What Llama's relatives with other defaults, experts and the like share.
#pragma once

#include <functional>
#include <optional>

#include "family/llama.h"

namespace layerscope {

/// Values of absent keys, and what differs from Llama in all of a relative's blocks.
struct RelativeDefaults {
  double theta = 10000, epsilon = 1e-6;
  bool interleaved = false;  ///< rotary pairs lie side by side
  bool tied = false;         ///< the head and the token table
};

/// describe_llama with a relative's defaults, and with the head where the checkpoint has one.
[[nodiscard]] ModelSpec describe_relative(Config& config, const LlamaTraits& traits, const RelativeDefaults& defaults);

/// Calls `change` for every attention of the decoder.
void for_attentions(ModelSpec& spec, const std::function<void(Attention&)>& change);

/// Puts experts in the place of the MLPs of the blocks that `sparse` names, of the same activation and, where
/// `experts.hidden` is 0, the same width.
void put_experts(Config& config, ModelSpec& spec, const Experts& experts,
                 const std::function<bool(std::int64_t block)>& sparse);

/// The count of experts, under either of its names.
[[nodiscard]] std::int64_t expert_count(Config& config, std::int64_t fallback);

/// The head of a causal language model, if the architecture has one.
[[nodiscard]] std::optional<Head> causal_head(Config& config, bool tied);

/// Names of Llama with the experts of its relatives.
extern const std::span<const Bind> kMixtureBinds;
extern const std::span<const std::string_view> kMixtureIgnored;

}  // namespace layerscope
