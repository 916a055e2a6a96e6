// NumPy's array files (numpy.lib.format, version 1.0).
#pragma once

#include <string>

#include "layerscope/tensor.h"

namespace layerscope {

/// Everything before the first value, padded so that values begin at a multiple of 64 bytes. NumPy has no bfloat16.
[[nodiscard]] std::string npy_header(DType dtype, const Shape& shape);

}  // namespace layerscope
