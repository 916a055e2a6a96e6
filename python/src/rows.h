// Rows that are ready to run, as Python holds them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope::python {

struct Rows {
  std::vector<ModelRow> rows;
};

/// `what` went wrong with row `index` of `count`.
[[nodiscard]] Error in_row(const Error& what, std::size_t index, std::size_t count);

}  // namespace layerscope::python
