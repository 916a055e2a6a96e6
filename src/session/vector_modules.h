// What follows pooling: Dense, LayerNorm and Normalize, one vector at a time.
#pragma once

#include <span>
#include <vector>

#include "session/modules.h"

namespace layerscope {

/// The vector behind a module. Products and sums run in a fixed order and in float64.
void apply_module(const DenseModule& dense, std::vector<float>& vector);
void apply_module(const LayerNormModule& norm, std::vector<float>& vector);
void apply_module(const NormalizeModule& normalize, std::vector<float>& vector);

}  // namespace layerscope
