#include "store/npy.h"

#include <cctype>

namespace layerscope {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::string_view kMagic = "\x93NUMPY\x01";

/// "<f4", "|u1", "<i8".
std::string description(DType dtype) {
  const std::size_t size = dtype_size(dtype);
  if (dtype == DType::kBool) return "|b1";
  return (size == 1 ? "|" : "<") + std::string(1, static_cast<char>(std::tolower(dtype_name(dtype)[0]))) +
         std::to_string(size);
}

}  // namespace

std::string npy_header(DType dtype, const Shape& shape) {
  std::string dict = "{'descr': '" + description(dtype) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) dict += (axis == 0 ? "" : ", ") + std::to_string(shape[axis]);
  dict += shape.rank() == 1 ? ",), }" : "), }";
  const std::size_t before = kMagic.size() + 3;  // the minor version and two bytes of length
  const std::size_t total = (before + dict.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  dict.resize(total - before - 1, ' ');
  dict += '\n';
  std::string header(kMagic);
  header += '\0';
  header += static_cast<char>(dict.size() & 0xFF);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

}  // namespace layerscope
