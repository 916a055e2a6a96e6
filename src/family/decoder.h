// What decoders of one stack share, whatever their norms and positions are.
#pragma once

#include <optional>

#include "spec/bind.h"

namespace layerscope {

/// The names that transformers' attribute maps give to GPT-2's settings.
void alias_gpt2_names(Config& config);

/// width / heads, which has to be whole and, where the config has a head_dim, that.
[[nodiscard]] std::int64_t head_width(Config& config, std::int64_t width, std::int64_t heads);

/// `heads` causal heads of `head` elements, scores scaled by 1 / sqrt(head).
[[nodiscard]] Attention causal_attention(Config& config, std::int64_t head, std::int64_t heads, std::int64_t kv_heads);

/// A pre-norm block: x + attention + mlp, both read from the block's input if `parallel`, otherwise one after the
/// other.
[[nodiscard]] Block pre_norm_block(const Norm& norm, const Attention& attention, const Mlp& mlp, bool parallel = false);

/// The head of a model whose architecture names a language model, W being the token table where "tie_word_embeddings",
/// by default `tied`, says so.
[[nodiscard]] std::optional<Head> language_head(Config& config, bool tied, bool bias = false);

/// A decoder; with "is_causal": false an encoder, each token of which sees all others. (transformers,
/// masking_utils.py: create_causal_mask, create_sliding_window_causal_mask)
[[nodiscard]] ModelSpec causal_or_not(Config& config, ModelSpec decoder);

}  // namespace layerscope
