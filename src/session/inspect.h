// A model described for programs.
#pragma once

#include <string>

#include "session/model_state.h"

namespace layerscope {

/// One JSON object: stacks with their blocks and programs, heads, sites, and the tensor behind every slot.
[[nodiscard]] std::string inspect_json(const ModelState& state);

}  // namespace layerscope
