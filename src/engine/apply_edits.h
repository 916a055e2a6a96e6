// Edits of the stream, applied to the rows of a site.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "layerscope/edits.h"

namespace layerscope {

/// The tokens that the rows of a site belong to.
struct EditedRows {
  const std::vector<std::int64_t>& offsets;  ///< of the batch, by sequence
  std::span<const std::int64_t> numbers;     ///< row numbers, by sequence
  std::span<const std::int64_t> past;        ///< tokens of earlier calls, by sequence
  std::span<const std::int64_t> lengths;     ///< what negative positions count from, by sequence
};

/// Changes tokens `first` ... of the batch as one edit says. `rows` is float32, float64 or bfloat16; bfloat16 values
/// are changed as float32 and rounded back. True if any token was changed.
bool apply_edit(const EditPlan::Entry& edit, const EditedRows& tokens, std::int64_t first, const MutableRows& rows);

}  // namespace layerscope
