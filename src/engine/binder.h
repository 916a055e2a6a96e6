// Fills a model's slots from a checkpoint, and proves that nothing is missing and nothing is left over.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "checkpoint/source.h"
#include "layerscope/error.h"
#include "spec/bind.h"

namespace layerscope {

/// A slot and where it comes from.
struct Binding {
  Slot slot;
  const SourceTensor* tensor = nullptr;
  Cut cut;
  /// The slot's part of the tensor, its outputs end to end: a matrix or table [outputs, inputs], or a vector [outputs,
  /// 1]. One view unless the outputs lie apart.
  std::vector<MatrixView> views;
};

struct Bindings {
  std::vector<Binding> bound;  ///< in the order of slots_of(spec); optional slots only where they are filled
  std::map<std::string, std::string, std::less<>> empty;  ///< by optional slot: the tensor that would have filled it
  std::vector<std::string> ignored;                       ///< tensors that hidden states do not need
  std::uint64_t parameters = 0;                           ///< elements of all float tensors of the source
  [[nodiscard]] const Binding* find(std::string_view slot) const noexcept;
};

/// Errors (kModel): a slot that nothing fills, a tensor of another shape or of a type that is no float, a tensor that
/// no row of the family claims or ignores, a tensor claimed twice, a copy that differs. Each names tensor and slot.
/// `others` names stored tensors that are not the model's and are ignored too.
[[nodiscard]] Result<Bindings> bind(const ModelSpec& spec, const Family& family, const TensorSource& source,
                                    const std::string& folder, const std::vector<std::string>& others = {});

}  // namespace layerscope
