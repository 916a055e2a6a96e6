// Rows of a command's input as vectors, in order and in bounded memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "cli/commands.h"
#include "cli/rows.h"
#include "job/input.h"

namespace layerscope::cli {

/// Takes the vector of a row. False: enough, no further rows.
using TakeVector = std::function<Result<bool>(const InputRow& row, std::span<const float> vector)>;
/// Takes what was made of a row. False: enough, no further rows.
using TakeTextVectors =
    std::function<Result<bool>(const InputRow& row, const ModelRow& tokens, const TextVectors& vectors)>;
/// Told after every round of rows: how many tokens have been embedded, and bytes of the input read.
using Embedded = std::function<void(const JobProgress& so_far)>;

/// Embeds the input in rounds and hands over its vectors in the order of the rows. Bad rows as each_row has them; rows
/// before one that ends the walk are still handed over. Errors: kCancelled after a signal; those of Embedder::embed.
[[nodiscard]] Result<RowCounts> embed_texts(const Embedder& embedder, const InputArguments& input, Context& context,
                                            const TakeTextVectors& take, const Embedded& told = {});
/// The same for one vector a row.
[[nodiscard]] Result<RowCounts> embed_rows(const Embedder& embedder, const InputArguments& input, Context& context,
                                           const TakeVector& take, const Embedded& told = {});

}  // namespace layerscope::cli
