// The model that a run was made with, if it is still there.
#pragma once

#include <memory>
#include <string>

#include "layerscope/model.h"

namespace layerscope {

/// Opens the folder that a run's manifest names, in the run's type and instruction set. Null, and `why` says why, where
/// that is not there, its files are others than the run was made with (XXH3-128), or the run's states were edited.
[[nodiscard]] std::shared_ptr<const Model> model_of_run(const std::string& folder, std::string& why);

}  // namespace layerscope
