// Rows that are ready to run, as Python holds them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope::python {

struct Rows {
  std::vector<ModelRow> rows;
  std::int64_t first = 0;  ///< the number of the first one; it decides `sample:K`
};

/// `what` went wrong with row `index` of `count`.
[[nodiscard]] Error in_row(const Error& what, std::size_t index, std::size_t count);

}  // namespace layerscope::python
