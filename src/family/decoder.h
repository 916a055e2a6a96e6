// What decoders of one stack share, whatever their norms and positions are.
#pragma once

#include <cstdint>
#include <optional>

#include "spec/bind.h"

namespace layerscope {

/// The names that transformers' attribute maps give to GPT-2's settings.
void alias_gpt2_names(Config& config);

/// width / heads, which has to be whole and, where the config has a head_dim, that.
[[nodiscard]] std::int64_t head_width(Config& config, std::int64_t width, std::int64_t heads);

/// `heads` causal heads of `head` elements, scores scaled by 1 / sqrt(head).
[[nodiscard]] Attention causal_attention(Config& config, std::int64_t head, std::int64_t heads, std::int64_t kv_heads);

/// Rotary positions of a model that turns whole heads.
[[nodiscard]] Rope whole_rope(Config& config, std::int64_t head);

/// Scores that fall with distance, by the slopes of `heads` heads.
[[nodiscard]] Alibi falling_scores(Config& config, std::int64_t heads);

enum class Order : std::uint8_t {
  kSequential,
  kParallel,         ///< attention and MLP both read the block's input
  kParallelOneNorm,  ///< likewise, through one norm
};

/// A pre-norm block of attention and MLP.
[[nodiscard]] Block pre_norm_block(const Norm& norm, const Attention& attention, const Mlp& mlp,
                                   Order order = Order::kSequential);

/// The head of a model whose architecture names a language model, W being the token table where "tie_word_embeddings",
/// by default `tied`, says so.
[[nodiscard]] std::optional<Head> language_head(Config& config, bool tied, bool bias = false);

/// A decoder; with "is_causal": false an encoder, each token of which sees all others. (transformers,
/// masking_utils.py: create_causal_mask, create_sliding_window_causal_mask)
[[nodiscard]] ModelSpec causal_or_not(Config& config, ModelSpec decoder);

}  // namespace layerscope
