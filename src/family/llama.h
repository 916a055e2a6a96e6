// What Llama and its relatives share.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "spec/bind.h"

namespace layerscope {

/// Where a relative differs from Llama.
struct LlamaTraits {
  enum class Norms : std::uint8_t {
    kBefore,  ///< of what a step reads
    kBehind,  ///< of what a step adds
    kAround,  ///< both
  };
  Norms norms = Norms::kBefore;
  std::optional<Norm> norm;  ///< of the stream; none: RMS norms with "rms_norm_eps"
  double epsilon = 1e-6;     ///< of those, where the config has no such key
  float norm_offset = 0;
  std::optional<HeadNorm::Span> qk_norm;

  bool qkv_bias = false, out_bias = false, mlp_bias = false;
  std::optional<std::int64_t> head_dim, kv_heads;  ///< where the config has no such key; null means the plain ones
  std::optional<float> scale;                      ///< of the scores; none: 1 / sqrt(head)
  std::optional<float> softcap, clip;
  bool both_ways = false;  ///< tokens see what comes after them, within their window

  RopeDefaults rope;
  bool partial_rotation = false;  ///< heads may turn in part
  std::function<std::optional<std::int64_t>(std::int64_t block)> window;
  /// What else differs from block to block.
  std::function<void(std::int64_t block, Attention& attention, Mixer& mlp)> adapt;

  std::string_view activation_key = "hidden_act", activation = "silu";
  bool gated = true;
  std::optional<Xielu> xielu;

  float embedding_scale = 1, residual_scale = 1;
  Head head{.tied = false};  ///< `tied` where the config has no such key
};

/// A decoder with RMS norms, rotary positions, grouped heads and an MLP (Touvron et al. 2023). With "is_causal": false
/// it is an encoder whose windows reach one key further (transformers 5, masking_utils.py).
[[nodiscard]] ModelSpec describe_llama(Config& config, const LlamaTraits& traits);

/// Which blocks have a sliding window, by "layer_types" or by `rule` where the config has no such list.
[[nodiscard]] std::vector<bool> sliding_layers(Config& config, const std::function<bool(std::int64_t)>& rule);

/// The window of every block: `window` for those of sliding_layers(). A sliding block without one is refused.
[[nodiscard]] std::function<std::optional<std::int64_t>(std::int64_t)> windows(
    Config& config, std::optional<std::int64_t> window, const std::function<bool(std::int64_t)>& rule);

extern const std::span<const Bind> kLlamaBinds;
extern const std::span<const std::string_view> kLlamaPrefixes, kLlamaIgnored;

/// A family whose tensors are called as Llama's.
[[nodiscard]] inline Family llama_relative(std::span<const std::string_view> types, ModelSpec (*describe)(Config&)) {
  return {.model_types = types,
          .describe = describe,
          .binds = kLlamaBinds,
          .prefixes = kLlamaPrefixes,
          .ignored = kLlamaIgnored};
}

}  // namespace layerscope
