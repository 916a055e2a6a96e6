// From final states to the scores of labels.
#pragma once

#include <vector>

#include "layerscope/labels.h"
#include "layerscope/model.h"

namespace layerscope {

/// What a classifier's head says of rows that are ready to run, one entry a row. Errors: as Model::classify.
[[nodiscard]] Result<std::vector<LabelScores>> classify_rows(const Model& model, std::vector<ModelRow> rows,
                                                             int threads);

}  // namespace layerscope
