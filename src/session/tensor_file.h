// One tensor of a safetensors file that is no model's.
#pragma once

#include <string>

#include "base/floats.h"
#include "layerscope/error.h"

namespace layerscope {

/// A float tensor [width] or [rows, width]. An empty name takes the only one. Errors: kUsage for a name that is not
/// there (those that are are listed), kRuntime for a file that cannot be read, is no safetensors file or holds another
/// type or shape under the name.
[[nodiscard]] Result<FloatTable> read_tensor_file(const std::string& path, const std::string& name);

}  // namespace layerscope
