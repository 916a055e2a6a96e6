// Names of the functions that both a model's description and the kernels speak of.
#pragma once

#include <cstdint>

namespace layerscope {

/// Elementwise functions of the field, each exactly one formula (transformers, src/transformers/activations.py).
enum class Activation : std::uint8_t {
  kNone,
  kRelu,       ///< max(x, 0)
  kGeluErf,    ///< x * Phi(x), Phi by erf ("gelu")
  kGeluTanh,   ///< 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
  kSilu,       ///< x * sigmoid(x) ("silu", "swish")
  kQuickGelu,  ///< x * sigmoid(1.702 x)
  kTanh,
  kSigmoid,
  kReluSquared,  ///< max(x, 0)^2 ("relu2")
};

enum class NormKind : std::uint8_t {
  kLayer,  ///< (x - mean) / sqrt(variance + epsilon) * weight + bias     (Ba et al. 2016)
  kRms,    ///< x / sqrt(mean of squares + epsilon) * weight              (Zhang and Sennrich 2019)
};

}  // namespace layerscope
