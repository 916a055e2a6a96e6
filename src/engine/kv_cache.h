// Keys and values of earlier tokens of one sequence, so that new tokens can be run against them.
#pragma once

#include <cstdint>
#include <vector>

#include "layerscope/tensor.h"

namespace layerscope {

/// One sequence's cache over the decoder's blocks. Filled by the forward pass; keys are stored after norm and rotation.
class KvCache {
 public:
  /// Rows of one kind for one step of one block.
  struct Entry {
    std::vector<std::byte> bytes;
    std::int64_t rows = 0;
    /// Appends rows; all appends of an entry have one width and dtype.
    void append(const RowsView& added);
    [[nodiscard]] RowsView view(DType dtype, std::int64_t width) const noexcept;
  };
  struct StepEntries {
    Entry keys, values;  ///< of an attention
    Entry history;       ///< of a short convolution: what its next token's taps reach back to
  };

  [[nodiscard]] std::int64_t tokens() const noexcept { return tokens_; }
  void advance(std::int64_t tokens) noexcept { tokens_ += tokens; }
  [[nodiscard]] StepEntries& at(int block, int step);

 private:
  std::vector<std::vector<StepEntries>> blocks_;
  std::int64_t tokens_ = 0;
};

}  // namespace layerscope
