// What a folder with a head over labels says of rows.
#pragma once

#include "cli/commands.h"

namespace layerscope::cli {

/// Writes the labels of every row, the likeliest first, with their probabilities; under --json one object a line,
/// {row, id, labels:[{label, logit, p}…]} in the labels' own order, of a classifier of tokens
/// {row, id, input_ids, labels:[[…] per token]}; p is null for regression.
[[nodiscard]] Result<int> run_labels(const Model& model, const InputArguments& input, Context& context);

}  // namespace layerscope::cli
