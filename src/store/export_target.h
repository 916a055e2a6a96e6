// Where an export goes: tensors one after another, whose shapes are known before.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/layout.h"
#include "store/run.h"

namespace layerscope {

/// Takes tensors in the order of the layout it was made with, each whole. Nothing has its final name before finish.
class ExportTarget {
 public:
  virtual ~ExportTarget() = default;
  [[nodiscard]] virtual Status begin(const ShardTensor& tensor) = 0;
  [[nodiscard]] virtual Status write(std::span<const std::byte> bytes) = 0;
  [[nodiscard]] virtual Status end() = 0;
  [[nodiscard]] virtual Status finish() = 0;
};

/// The type in which a format holds values of a type.
[[nodiscard]] constexpr DType exported_dtype(ExportFormat format, DType dtype) noexcept {
  const bool widened = (dtype == DType::kBF16 && format != ExportFormat::kSafetensors) ||
                       (dtype == DType::kF16 && format == ExportFormat::kFvecs);
  return widened ? DType::kF32 : dtype;
}

/// Opens `path`, over what is there, for any format but kHfDataset. Errors: kUsage for a folder that holds something
/// else, kResource.
[[nodiscard]] Result<std::unique_ptr<ExportTarget>> open_export_target(ExportFormat format, const std::string& path,
                                                                       const ShardLayout& layout);

}  // namespace layerscope
