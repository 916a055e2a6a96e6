// NumPy's array files (numpy.lib.format, versions 1.0 to 3.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "layerscope/error.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// Everything before the first value, padded so that values begin at a multiple of 64 bytes. NumPy has no bfloat16.
[[nodiscard]] std::string npy_header(DType dtype, const Shape& shape);

/// What a header says.
struct NpyHeader {
  DType dtype = DType::kF32;
  Shape shape;
  std::size_t begin = 0;  ///< the byte of the first value, a multiple of the element's size
};

/// Reads the header of a whole file's bytes and checks that as many values follow as the shape has. Errors: kRuntime
/// with `name` and field: no .npy, an order of bytes or of axes that is not C's, element types that have no DType.
[[nodiscard]] Result<NpyHeader> parse_npy_header(std::span<const std::byte> file, const std::string& name);

}  // namespace layerscope
