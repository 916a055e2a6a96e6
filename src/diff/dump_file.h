// The tensors of a reference dump, whichever of its two formats it has.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/source.h"
#include "layerscope/error.h"

namespace layerscope {

/// FILE.safetensors, mapped, or FILE.npz, unpacked into memory.
class DumpFile final : public TensorSource {
 public:
  /// Errors: kRuntime with file and tensor for what is neither, or is damaged; kResource for an archive that would fill
  /// more than half of the memory that is free.
  [[nodiscard]] static Result<std::unique_ptr<DumpFile>> open(const std::string& path);
  [[nodiscard]] const std::vector<SourceTensor>& tensors() const noexcept override { return tensors_; }

 private:
  Status read_safetensors(const std::string& path);
  Status read_npz(const std::string& path);
  MappedFile file_;
  std::vector<std::vector<std::byte>> unpacked_;
  std::vector<SourceTensor> tensors_;
};

/// True for a path that ends in .safetensors or .npz and is no folder.
[[nodiscard]] bool is_dump(const std::string& path);

}  // namespace layerscope
