// A weight matrix as oneDNN has packed it. Internal to OneDnnProduct.
#pragma once

#include <optional>

#include "backend/onednn_product.h"

namespace layerscope {

struct OneDnnProduct::Linear final : PackedLinear {
  dnnl::memory weights;
  AlignedBuffer bias;  ///< [outputs] float32, or nothing
  Activation activation = Activation::kNone;
  std::optional<PanelsView> panels;  ///< the weights, where our kernels can read them
  [[nodiscard]] bool has_bias() const noexcept { return bias.data() != nullptr; }
};

}  // namespace layerscope
