// Where the vectors of an edit come from.
#pragma once

#include <string>
#include <string_view>

#include "layerscope/edits.h"
#include "layerscope/error.h"

namespace layerscope::cli {

/// Fills values and vectors of `edit` (whose site is a single one and whose positions are known) from
/// "NUMBER", "[NUMBER*]FILE.npy", "[NUMBER*]FILE.safetensors[:NAME]" or "[NUMBER*]RUN:ROW[:SITE][@POSITIONS]". Errors
/// as of read_edits.
[[nodiscard]] Status read_edit_vectors(std::string_view source, Edit& edit);

}  // namespace layerscope::cli
