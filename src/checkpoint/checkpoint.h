// The weights of a Hugging Face folder.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "checkpoint/source.h"
#include "layerscope/error.h"

namespace layerscope {

/// A TensorSource over `model.safetensors`, or over `model.safetensors.index.json` and its shards.
class Checkpoint : public TensorSource {
 public:
  /// Paths of the weight files, absolute or as given, in the order they were read.
  [[nodiscard]] virtual const std::vector<std::string>& files() const noexcept = 0;
};

/// Opens the weights of `folder`, memory-mapped. Refused with ErrorCode::kModel, a message that names file and field,
/// and without allocating more than the headers need: everything the format's reference reader refuses, and what the
/// format's description forbids but readers let pass (see safetensors.h). Pickled weights (`pytorch_model.bin`, ...)
/// are never read; where only they exist the message says how to convert them.
[[nodiscard]] Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& folder);

/// Opens one safetensors file of `folder` in the same way.
[[nodiscard]] Result<std::unique_ptr<Checkpoint>> open_weight_file(const std::string& folder, const std::string& file);

}  // namespace layerscope
