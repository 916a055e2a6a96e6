// What Llama and its near relatives share.
#pragma once

#include <functional>
#include <optional>

#include "spec/bind.h"

namespace layerscope {

/// Where a relative differs from Llama.
struct LlamaTraits {
  bool qkv_bias = false, out_bias = false, mlp_bias = false;
  bool qk_norm = false;                            ///< RMS norm over each head of q and k
  std::optional<std::int64_t> head_dim, kv_heads;  ///< where the config has no such key; null means the plain ones
  std::function<std::optional<std::int64_t>(std::int64_t block)> window;
};

/// A pre-norm decoder with RMS norms, rotary positions, grouped heads and a gated MLP (Touvron et al. 2023).
[[nodiscard]] ModelSpec describe_llama(Config& config, const LlamaTraits& traits);

/// The window of every block by "layer_types", or by `rule` where the config has no such list.
[[nodiscard]] std::function<std::optional<std::int64_t>(std::int64_t)> windows(
    Config& config, std::optional<std::int64_t> window, const std::function<bool(std::int64_t)>& rule);

extern const std::span<const Bind> kLlamaBinds;
extern const std::span<const std::string_view> kLlamaPrefixes, kLlamaIgnored;

}  // namespace layerscope
