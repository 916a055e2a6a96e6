// The matrix product of single-token steps: few rows, so that reading the weights is what takes time. Every weight is
// read once, fetched ahead of its use, whatever the number of rows; a block of the depth is small enough to stay in the
// first-level cache until the last row has met it. Rows keep to themselves.
#pragma once

#include "kernels/micro-inl.h"
#include "kernels/rows-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kStepBlock = 128;  // steps of a panel that all rows meet before the next are read

/// One panel's outputs for all rows: chains of `chain` steps, their sums added up in order.
template <class Operand>
void step_panel(const typename Operand::A* a, std::int64_t a_stride, std::int64_t rows,
                const typename Operand::B* panel, std::int64_t columns, std::int64_t steps, std::int64_t chain,
                float* chain_sums, float* sums) {
  for (std::int64_t first = 0; first < steps; first += chain) {
    const std::int64_t end = std::min(first + chain, steps);
    float* to = first == 0 ? sums : chain_sums;
    for (std::int64_t at = first; at < end; at += kStepBlock) {
      panel_product<Operand, true>(a + at * Operand::kDepth, a_stride, rows, panel + at * kPanel * Operand::kDepth,
                                   columns, std::min(kStepBlock, end - at), to, kPanel, at > first);
    }
    for (std::int64_t j = 0; first > 0 && j < rows * kPanel; j += kLanes)
      store(sums + j, hn::Add(load(sums + j, Full{}), load(chain_sums + j, Full{})), Full{});
  }
}

template <class Operand>
void multiply_steps_with(const PanelsView& weights, OutputRange outputs, const float* bias, Activation activation,
                         const RowsView& in, const MutableRows& out, AlignedBuffer& scratch) {
  using A = typename Operand::A;
  const std::int64_t steps = (weights.inputs + Operand::kDepth - 1) / Operand::kDepth;
  const std::int64_t chain = std::max<std::int64_t>(weights.chain / Operand::kDepth, 1);
  // Sixteen elements more, so that rows whose width is a power of two do not fall into the same lines of the cache.
  const std::int64_t depth = steps * Operand::kDepth + 16;
  const std::size_t sum_bytes = static_cast<std::size_t>(in.rows * kPanel) * sizeof(float);
  const std::size_t bytes = 2 * sum_bytes + static_cast<std::size_t>(in.rows * depth) * sizeof(A);
  std::byte* base = scratch.reserve(bytes);
  std::memset(base, 0, bytes);
  auto* sums = reinterpret_cast<float*>(base);
  auto* chain_sums = reinterpret_cast<float*>(base + sum_bytes);
  auto* a = reinterpret_cast<A*>(base + 2 * sum_bytes);
  convert(in, {sizeof(A) == 2 ? DType::kBF16 : DType::kF32, base + 2 * sum_bytes, in.rows, weights.inputs, depth});
  const auto element = static_cast<std::int64_t>(dtype_size(out.dtype));
  for (std::int64_t column = outputs.begin; column < outputs.end; column += kPanel) {
    const std::int64_t columns = std::min(kPanel, outputs.end - column);
    step_panel<Operand>(
        a, depth, in.rows,
        reinterpret_cast<const typename Operand::B*>(weights.data + column / kPanel * weights.panel_bytes), columns,
        steps, chain, chain_sums, sums);
    activate(activation, bias != nullptr ? bias + column : nullptr,
             {DType::kF32, reinterpret_cast<const std::byte*>(sums), in.rows, columns, kPanel},
             {out.dtype, out.data + column * element, out.rows, columns, out.stride});
  }
}

inline void multiply_steps(const PanelsView& weights, OutputRange outputs, const float* bias, Activation activation,
                           const RowsView& in, const MutableRows& out, AlignedBuffer& scratch) {
  if (in.rows == 0) return;
  if (weights.dtype != DType::kBF16)
    return multiply_steps_with<FloatOperand>(weights, outputs, bias, activation, in, out, scratch);
#if LAYERSCOPE_NATIVE_BF16
  if (weights.pairs) return multiply_steps_with<PairOperand>(weights, outputs, bias, activation, in, out, scratch);
#endif
  multiply_steps_with<WidenedOperand>(weights, outputs, bias, activation, in, out, scratch);
}

LAYERSCOPE_END_KERNELS
