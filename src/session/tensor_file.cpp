#include "session/tensor_file.h"

#include <algorithm>

#include "base/mapped_file.h"
#include "base/try.h"
#include "base/utf8.h"
#include "checkpoint/safetensors.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostNames = 12;  // in a message

std::string names_of(const std::vector<TensorEntry>& tensors) {
  std::string names;
  for (std::size_t i = 0; i < std::min(tensors.size(), kMostNames); ++i)
    names += (i == 0 ? "" : ", ") + printable(tensors[i].name);
  return tensors.size() > kMostNames ? names + ", ..." : names;
}

}  // namespace

Result<FloatTable> read_tensor_file(const std::string& path, const std::string& name) {
  LAYERSCOPE_ASSIGN(const MappedFile file, MappedFile::open(path, ErrorCode::kRuntime));
  Result<SafetensorsHeader> header = parse_safetensors(file.bytes(), path);
  if (!header) return Error{ErrorCode::kRuntime, header.error().message};
  const std::vector<TensorEntry>& tensors = header->tensors;
  const auto found = name.empty() && tensors.size() == 1
                         ? tensors.begin()
                         : std::find_if(tensors.begin(), tensors.end(),
                                        [&](const TensorEntry& tensor) { return tensor.name == name; });
  if (found == tensors.end()) {
    return Error{ErrorCode::kUsage, path + ": " +
                                        (name.empty() ? "which tensor is meant" : "has no tensor \"" + name + "\"") +
                                        ", it holds " + names_of(tensors) + " (FILE.safetensors:NAME)"};
  }
  const Shape& shape = found->shape;
  const std::string what = path + ": tensor \"" + printable(found->name) + "\" ";
  if (shape.rank() < 1 || shape.rank() > 2 || shape.elements() == 0)
    return Error{ErrorCode::kRuntime, what + "has shape " + shape.text() + ", expected [width] or [n, width]"};
  FloatTable table{.rows = shape.rank() == 1 ? 1 : shape[0], .width = shape[shape.rank() - 1], .values = {}};
  const std::byte* data = file.bytes().data() + header->data_offset + found->begin;
  if (append_floats(found->dtype, data, static_cast<std::size_t>(shape.elements()), table.values)) return table;
  return Error{ErrorCode::kRuntime, what + "is " + std::string(dtype_name(found->dtype)) + ", expected floats"};
}

}  // namespace layerscope
