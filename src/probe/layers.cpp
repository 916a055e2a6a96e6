#include "probe/layers.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {

GatheredLayers::GatheredLayers(std::vector<ProbeSite> sites, std::string folder, std::size_t memory)
    : ProbeLayers(std::move(sites)),
      folder_(std::move(folder)),
      floats_(memory / sizeof(float) / std::max<std::size_t>(1, sites_.size())),
      columns_(sites_.size()) {}

Status GatheredLayers::append(std::size_t site, std::span<const float> vectors) {
  Column& column = columns_[site];
  if (column.held.size() + vectors.size() <= floats_) {
    column.held.reserve(floats_);  // growing would hold them twice
    column.held.insert(column.held.end(), vectors.begin(), vectors.end());
    return {};
  }
  LAYERSCOPE_TRY(write(column, column.held));
  column.held.clear();
  return write(column, vectors);
}

Status GatheredLayers::write(Column& column, std::span<const float> vectors) const {
  if (!column.file.is_open()) {
    LAYERSCOPE_ASSIGN(column.file, File::create_unnamed(folder_));
  }
  LAYERSCOPE_TRY(column.file.write_at(column.written, std::as_bytes(vectors)));
  column.written += vectors.size_bytes();
  return {};
}

Status GatheredLayers::finish() {
  for (Column& column : columns_) {
    if (!column.file.is_open()) continue;
    LAYERSCOPE_TRY(write(column, column.held));
    column.held = {};
    LAYERSCOPE_ASSIGN(column.mapped, MappedFile::of(column.file.descriptor(), column.written, column.file.path(),
                                                    ErrorCode::kRuntime));
    column.file = File();
  }
  return {};
}

std::vector<VectorBlock> GatheredLayers::blocks(std::size_t site) const {
  const Column& column = columns_[site];
  const std::span<const std::byte> bytes =
      column.written > 0 ? column.mapped.bytes() : std::as_bytes(std::span(column.held));
  const std::int64_t width = sites_[site].width;
  const auto rows = static_cast<std::int64_t>(bytes.size() / sizeof(float)) / width;
  return {{.values = {DType::kF32, bytes.data(), rows, width, width}, .numbers = {}}};
}

}  // namespace layerscope
