// What can be said of a difference whose cause is none of the known ones.
#pragma once

#include <vector>

#include "diff/block_lab.h"
#include "diff/cause.h"
#include "diff/cause_search.h"

namespace layerscope {

/// A cause of kind "unknown" (or "precision", where the difference has that size and shape) with the part that it can
/// be narrowed down to. `base` is what our part makes of the other side's input.
[[nodiscard]] Cause narrow_down(const BlockLab& lab, const std::vector<double>& base, const Finding& nearest,
                                double before);

}  // namespace layerscope
