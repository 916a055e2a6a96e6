// The stored values of one row of a run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/floats.h"
#include "layerscope/error.h"

namespace layerscope {

/// One site of one row.
struct RunRow {
  FloatTable values;
  std::int64_t tokens = 0;              ///< of the whole row, whatever of it is stored
  bool pooled = false;                  ///< one vector for the row
  bool picked = false;                  ///< only some positions are stored:
  std::vector<std::int32_t> positions;  ///< those, in the order of the vectors
};

/// Reads one site of one row, by its number. Rows of an incomplete run count as far as they are stored. Errors: kUsage
/// for a site or row that is not there (the sites that are are listed), kRuntime for what is no run, kDamage.
[[nodiscard]] Result<RunRow> read_run_row(const std::string& folder, std::int64_t row, const std::string& site);

}  // namespace layerscope
