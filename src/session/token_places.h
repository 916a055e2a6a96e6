// Where the tokens of a row come from.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "layerscope/model.h"

namespace layerscope {

/// One entry a token of the row's main stack; empty for a row that was given as ids, or without a tokenizer.
struct TokenPlaces {
  std::vector<std::pair<std::int64_t, std::int64_t>> offsets;  ///< as Encoding
  std::vector<std::int8_t> sequence;
};

/// Tokenises a text again to see where its tokens lie. `ids`: the row's own tokens, perhaps cut to a length. Errors:
/// kRuntime if these are not the text's tokens; the tokenizer's.
[[nodiscard]] Result<TokenPlaces> token_places(const Model& model, const TextRow& text,
                                               std::span<const std::int32_t> ids, bool add_special_tokens);

}  // namespace layerscope
