// Which tensor a difference comes from, told by its shape alone.
#pragma once

#include <string>
#include <vector>

#include "diff/block_lab.h"

namespace layerscope {

/// A tensor of the part, and how alike the difference is to those that changes of it make.
struct ShapeMatch {
  std::string slot;
  double alignment = 0;  ///< 0 ... 1
  double own = 0;        ///< the mean alignment of one random change of the tensor with others of it
};

/// Every tensor of a block, the best match first. A small random change of a tensor gives differences whose inner
/// products between tokens, and between elements, depend on where it stands in the block and little on the change; both
/// matrices of inner products are compared by their cosine (Cristianini et al. 2002, "On kernel-target alignment").
/// `base` is what our part makes of the other side's input. Empty for the embedding and the end.
[[nodiscard]] std::vector<ShapeMatch> match_shapes(const BlockLab& lab, const std::vector<double>& base);

}  // namespace layerscope
