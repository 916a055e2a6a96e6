#include "engine/kv_cache.h"

#include <algorithm>

namespace layerscope {

void KvCache::Entry::append(const RowsView& added) {
  const std::size_t row_bytes = static_cast<std::size_t>(added.width) * dtype_size(added.dtype);
  for (std::int64_t i = 0; i < added.rows; ++i) {
    const std::byte* row = added.data + static_cast<std::size_t>(i * added.stride) * dtype_size(added.dtype);
    bytes.insert(bytes.end(), row, row + row_bytes);
  }
  rows += added.rows;
}

RowsView KvCache::Entry::view(DType dtype, std::int64_t width) const noexcept {
  return {.dtype = dtype, .data = bytes.data(), .rows = rows, .width = width, .stride = width};
}

KvCache::StepEntries& KvCache::at(int block, int step) {
  blocks_.resize(std::max(blocks_.size(), static_cast<std::size_t>(block) + 1));
  auto& steps = blocks_[static_cast<std::size_t>(block)];
  steps.resize(std::max(steps.size(), static_cast<std::size_t>(step) + 1));
  return steps[static_cast<std::size_t>(step)];
}

}  // namespace layerscope
