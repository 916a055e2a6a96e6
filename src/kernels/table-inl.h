// Defines the table of the instruction set that the including isa_*.cpp has set.
#include "kernels/attention-inl.h"
#include "kernels/disentangled-inl.h"
#include "kernels/isa.h"
#include "kernels/mixers-inl.h"
#include "kernels/norm-inl.h"
#include "kernels/product-inl.h"
#include "kernels/rows-inl.h"
#include "kernels/step_product-inl.h"

#define LAYERSCOPE_JOIN_INNER(a, b) a##b
#define LAYERSCOPE_JOIN(a, b) LAYERSCOPE_JOIN_INNER(a, b)

namespace layerscope {

const Kernels& LAYERSCOPE_JOIN(LAYERSCOPE_ISA, _kernels)() {
  static constexpr Kernels kTable = {LAYERSCOPE_ISA::kPanel,
                                     LAYERSCOPE_ISA::norm,
                                     LAYERSCOPE_ISA::norm_heads,
                                     LAYERSCOPE_ISA::add,
                                     LAYERSCOPE_ISA::gather,
                                     LAYERSCOPE_ISA::rotate,
                                     LAYERSCOPE_ISA::activate,
                                     LAYERSCOPE_ISA::gate,
                                     LAYERSCOPE_ISA::clamped_gate,
                                     LAYERSCOPE_ISA::xielu,
                                     LAYERSCOPE_ISA::clamp,
                                     LAYERSCOPE_ISA::scale_rows,
                                     LAYERSCOPE_ISA::short_convolution,
                                     LAYERSCOPE_ISA::hadamard,
                                     LAYERSCOPE_ISA::convert,
                                     LAYERSCOPE_ISA::all_finite,
                                     LAYERSCOPE_ISA::attention,
                                     LAYERSCOPE_ISA::attention_probabilities,
                                     LAYERSCOPE_ISA::page_bytes,
                                     LAYERSCOPE_ISA::remember,
                                     LAYERSCOPE_ISA::disentangled_attention,
                                     LAYERSCOPE_ISA::disentangled_probabilities,
                                     LAYERSCOPE_ISA::pack,
                                     LAYERSCOPE_ISA::multiply,
                                     LAYERSCOPE_ISA::multiply_steps};
  return kTable;
}

}  // namespace layerscope
