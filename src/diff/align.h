// Which row of one side is which of the other, and whether both read the same tokens.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "diff/report.h"
#include "diff/side.h"

namespace layerscope {

/// A text that both sides are to read, by its number in the input.
struct DiffInput {
  std::int64_t number = 0;
  TextRow row;
};

/// One row as each side takes it. Where a model reads other ids than the other side, it is given that side's.
struct RowPair {
  SideRow a, b;
};

struct AlignedRows {
  std::vector<RowPair> pairs;  ///< of equal tokens
  bool ids_equal = true;
  std::vector<DiffCause> causes;      ///< of kind `tokens`
  std::int64_t row = -1, token = -1;  ///< the first token that differs, where one does
  std::vector<std::string> notes;
};

/// Errors: kUsage where there is nothing to read, or texts for sides that cannot; those of Model::tokenize.
[[nodiscard]] Result<AlignedRows> align(const Side& a, const Side& b, const std::vector<DiffInput>& texts,
                                        const TokenizeOptions& options);

}  // namespace layerscope
