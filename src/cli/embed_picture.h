// Texts compared with each other, and what they expand to, on the terminal.
#pragma once

#include <cstdint>
#include <string>

#include "cli/commands.h"
#include "session/embedder.h"

namespace layerscope::cli {

/// The entry of the vocabulary, or its number where there is no tokenizer.
[[nodiscard]] std::string token_of(const Embedder& embedder, std::int32_t id);

/// Draws the similarity of every text with every other, by the folder's own measure; for sparse vectors the terms of
/// each text above it. Errors: those of embed_texts.
[[nodiscard]] Result<int> run_embed_picture(const Embedder& embedder, const EmbedArguments& arguments,
                                            Context& context);

}  // namespace layerscope::cli
