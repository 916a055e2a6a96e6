// A row of text or ids made ready for a model.
#pragma once

#include "session/model_state.h"

namespace layerscope {

/// Tokens that a stack has positions for; nothing if their number has no end.
[[nodiscard]] std::optional<std::int64_t> position_limit(const Stack& stack);

/// See Model::tokenize.
[[nodiscard]] Result<ModelRow> make_row(const ModelState& state, const TextRow& row, const TokenizeOptions& options);

/// Ids, type ids and positions of a batch within the model's tables, offsets ascending and complete. Errors: kInput.
[[nodiscard]] Status check_batch(const ModelState& state, const Batch& batch);

}  // namespace layerscope
