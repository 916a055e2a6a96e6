// Our own matrix product, for instruction sets on which the library's rows depend on their company. An element is one
// chain of multiply-adds in the order of the inputs: blocks of the depth continue the chain through memory.
#pragma once

#include "kernels/micro-inl.h"
#include "kernels/rows-inl.h"

LAYERSCOPE_BEGIN_KERNELS

inline constexpr std::int64_t kProductRows = 96;  // a block of the inputs stays in the second-level cache
inline constexpr std::int64_t kProductDepth = 256;

inline ProductWeights pack(std::span<const MatrixView> parts, DType dtype) {
  ProductWeights packed;
  packed.dtype = dtype;
  for (const MatrixView& part : parts) {
    packed.inputs = part.inputs;
    packed.outputs += part.outputs;
  }
  const std::int64_t panels = (packed.outputs + kPanel - 1) / kPanel;
  const std::size_t bytes = static_cast<std::size_t>(panels * packed.inputs * kPanel) * dtype_size(dtype);
  std::byte* to = packed.panels.reserve(bytes);
  std::memset(to, 0, bytes);
  std::int64_t column = 0;
  for (const MatrixView& part : parts) {
    for (std::int64_t o = 0; o < part.outputs; ++o, ++column) {
      const std::int64_t first = column / kPanel * kPanel * packed.inputs + column % kPanel;
      for (std::int64_t i = 0; i < part.inputs; ++i) {
        store_element(dtype, to, first + i * kPanel,
                      load_element<float>(part.dtype, part.data, o * part.output_stride + i * part.input_stride));
      }
    }
  }
  return packed;
}

template <class Operand>
void multiply_block(const ProductWeights& weights, const RowsView& in, std::int64_t rows, float* widened, float* sums,
                    std::int64_t sums_stride) {
  const auto* panels = reinterpret_cast<const typename Operand::B*>(weights.panels.data());
  for (std::int64_t first = 0; first < weights.inputs; first += kProductDepth) {
    const std::int64_t depth = std::min(kProductDepth, weights.inputs - first);
    const float* a = reinterpret_cast<const float*>(in.data) + first;
    std::int64_t a_stride = in.stride;
    if (in.dtype == DType::kBF16) {
      convert({in.dtype, in.data + first * 2, rows, depth, in.stride},
              {DType::kF32, reinterpret_cast<std::byte*>(widened), rows, depth, kProductDepth});
      a = widened;
      a_stride = kProductDepth;
    }
    for (std::int64_t column = 0; column < weights.outputs; column += kPanel) {
      panel_product<Operand>(a, a_stride, rows, panels + column * weights.inputs + first * kPanel,
                             std::min(kPanel, weights.outputs - column), depth, sums + column, sums_stride, first > 0);
    }
  }
}

inline void multiply(const ProductWeights& weights, const float* bias, Activation activation, const RowsView& in,
                     const MutableRows& out, AlignedBuffer& scratch) {
  const std::int64_t stride = (weights.outputs + kPanel - 1) / kPanel * kPanel;
  auto* widened = reinterpret_cast<float*>(
      scratch.reserve(static_cast<std::size_t>(kProductRows * (kProductDepth + stride)) * sizeof(float)));
  float* sums = widened + kProductRows * kProductDepth;
  const auto in_size = static_cast<std::int64_t>(dtype_size(in.dtype)),
             out_size = static_cast<std::int64_t>(dtype_size(out.dtype));
  for (std::int64_t row = 0; row < in.rows; row += kProductRows) {
    const std::int64_t rows = std::min(kProductRows, in.rows - row);
    const RowsView block{in.dtype, in.data + row * in.stride * in_size, rows, in.width, in.stride};
    if (weights.inputs == 0) std::memset(sums, 0, static_cast<std::size_t>(rows * stride) * sizeof(float));
    if (weights.dtype == DType::kBF16) {
      multiply_block<WidenedOperand>(weights, block, rows, widened, sums, stride);
    } else {
      multiply_block<FloatOperand>(weights, block, rows, widened, sums, stride);
    }
    activate(activation, bias, {DType::kF32, reinterpret_cast<const std::byte*>(sums), rows, weights.outputs, stride},
             {out.dtype, out.data + row * out.stride * out_size, rows, out.width, out.stride});
  }
}

LAYERSCOPE_END_KERNELS
