// The rows of two sources side by side.
#pragma once

#include <cstdint>

#include "probe/layer_source.h"

namespace layerscope {

/// Walks one source, or the rows that two have in common: first the sites of A, then those of B.
class JoinedLayers {
 public:
  JoinedLayers(LayerSource& a, LayerSource* b) : a_(a), b_(b) {}
  /// False at the end of either. Errors: kUsage for a row that has other vectors in A than in B; the sources'.
  [[nodiscard]] Result<bool> next(LayerBlock& block);
  /// Rows that only one side has, as far as both have been read.
  [[nodiscard]] std::int64_t unmatched() const noexcept { return unmatched_; }

 private:
  struct Side {
    LayerBlock block;
    std::size_t at = 0;  // rows of the block that are used up
    [[nodiscard]] const LayerRow& row() const { return block.rows[at]; }
    [[nodiscard]] bool empty() const { return at == block.rows.size(); }
  };
  static Result<bool> fill(LayerSource& source, Side& side);
  Status append_common(LayerBlock& out);

  LayerSource& a_;
  LayerSource* b_;
  Side left_, right_;
  std::int64_t unmatched_ = 0;
};

}  // namespace layerscope
