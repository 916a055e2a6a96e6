#include "engine/workspace.h"

#include <new>

namespace layerscope {
namespace {
constexpr std::size_t kAlignment = 64;
}

void RowBuffer::Free::operator()(std::byte* memory) const noexcept {
  ::operator delete[](memory, std::align_val_t{kAlignment});
}

MutableRows RowBuffer::rows(DType dtype, std::int64_t count, std::int64_t width) {
  const std::size_t bytes = static_cast<std::size_t>(count * width) * dtype_size(dtype);
  if (bytes > capacity_) {
    memory_.reset();
    capacity_ = 0;
    memory_.reset(static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{kAlignment})));
    capacity_ = bytes;
  }
  return {.dtype = dtype, .data = memory_.get(), .rows = count, .width = width, .stride = width};
}

MutableRows slice(const MutableRows& rows, std::int64_t first, std::int64_t count) noexcept {
  MutableRows part = rows;
  part.data += static_cast<std::size_t>(first * rows.stride) * dtype_size(rows.dtype);
  part.rows = count;
  return part;
}

RowsView slice(const RowsView& rows, std::int64_t first, std::int64_t count) noexcept {
  RowsView part = rows;
  part.data += static_cast<std::size_t>(first * rows.stride) * dtype_size(rows.dtype);
  part.rows = count;
  return part;
}

MutableRows columns(const MutableRows& rows, std::int64_t first, std::int64_t width) noexcept {
  MutableRows part = rows;
  part.data += static_cast<std::size_t>(first) * dtype_size(rows.dtype);
  part.width = width;
  return part;
}

}  // namespace layerscope
