// Whole results of a few rows, in memory.
#pragma once

#include <cstdint>
#include <vector>

#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

/// A row ready to run and its number, which decides `sample:K`.
struct NumberedRow {
  ModelRow row;
  std::int64_t number = 0;
};

/// Everything that a plan of float32 sites wants of each row, in the order of the rows; batches run side by side.
/// Errors: as Model::run.
[[nodiscard]] Result<std::vector<RowStates>> whole_states(const Model& model, const TapPlan& plan,
                                                          std::vector<NumberedRow> rows, int threads,
                                                          const EditPlan* edits = nullptr);

}  // namespace layerscope
