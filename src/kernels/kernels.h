// The kernels of one instruction set as a table of functions. The tables live side by side; whoever holds one chooses.
// Every row is computed from that row alone, in an order that depends on its width only (attention: on the keys'
// indices).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/arguments.h"
#include "kernels/buffer.h"

namespace layerscope {

/// A weight matrix in panels of the instruction set's width, for `Kernels::multiply`.
struct ProductWeights {
  AlignedBuffer panels;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  DType dtype = DType::kF32;  ///< kF32 or kBF16: how the panels hold a weight
};

/// The operations; what each means stands in kernels/reference*.h. Arithmetic is float32. Rows are kF32 or kBF16 unless
/// said otherwise; results in bf16 are rounded to nearest even.
struct Kernels {
  /// Outputs across a panel of a packed weight matrix.
  std::int64_t panel;
  void (*norm)(const NormView& norm, const RowsView& in, const MutableRows& out);
  void (*norm_heads)(const NormView& norm, std::int64_t heads, const MutableRows& rows);
  void (*add)(const MutableRows& x, const RowsView& t, float scale, const NormView* after);
  /// `table` may be kF32, kF16 or kBF16, unaligned.
  void (*gather)(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
                 const MutableRows& out);
  void (*rotate)(const RotationArguments& arguments, const MutableRows& rows);
  /// out = activation(in + bias), `bias` [width] or null; may be the same memory.
  void (*activate)(Activation activation, const float* bias, const RowsView& in, const MutableRows& out);
  void (*gate)(Activation activation, const RowsView& gate, const RowsView& up, const MutableRows& out);
  void (*clamped_gate)(float limit, float alpha, const RowsView& gate, const RowsView& up, const MutableRows& out);
  void (*xielu)(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in, const MutableRows& out);
  void (*clamp)(float limit, const MutableRows& rows);
  void (*scale_rows)(std::span<const float> factors, const MutableRows& rows);
  void (*short_convolution)(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                            const RowsView& c, const MutableRows& out);
  void (*hadamard)(const RowsView& a, const RowsView& b, const MutableRows& out);
  /// Any float type to any.
  void (*convert)(const RowsView& in, const MutableRows& out);
  bool (*all_finite)(const RowsView& rows);
  /// `operand` kBF16: queries, keys, values and probabilities are rounded to bf16 where they enter a product.
  void (*attention)(const AttentionArguments& arguments, DType operand, const MutableRows& z, AlignedBuffer& scratch);
  void (*attention_probabilities)(const AttentionArguments& arguments, DType operand, std::int64_t head,
                                  std::int64_t first_query, const MutableRows& probabilities, AlignedBuffer& scratch);
  /// Bytes of a page of KeyValuePages with so many heads.
  std::size_t (*page_bytes)(DType operand, std::int64_t kv_heads, std::int64_t d_qk, std::int64_t d_v);
  /// The rows k and v become the last of arguments.cache's tokens.
  void (*remember)(const AttentionArguments& arguments, DType operand, AlignedBuffer& scratch);
  /// attention and attention_probabilities where arguments.positions is set.
  void (*disentangled_attention)(const AttentionArguments& arguments, DType operand, const MutableRows& z,
                                 AlignedBuffer& scratch);
  void (*disentangled_probabilities)(const AttentionArguments& arguments, DType operand, std::int64_t head,
                                     std::int64_t first_query, const MutableRows& probabilities,
                                     AlignedBuffer& scratch);
  /// The matrices' outputs end to end, rounded to `dtype`.
  ProductWeights (*pack)(std::span<const MatrixView> parts, DType dtype);
  /// out = activation(in W^T + bias): one chain of multiply-adds an element, in the order of the inputs.
  void (*multiply)(const ProductWeights& weights, const float* bias, Activation activation, const RowsView& in,
                   const MutableRows& out, AlignedBuffer& scratch);
  /// Some outputs of the same for few rows, weights read once at the speed of memory. `in` in the weights' type, `out`
  /// as wide as all outputs.
  void (*multiply_steps)(const PanelsView& weights, OutputRange outputs, const float* bias, Activation activation,
                         const RowsView& in, const MutableRows& out, AlignedBuffer& scratch);
};

/// Names of the instruction sets that this machine can run and this build has, best first.
[[nodiscard]] std::vector<std::string> supported_isas();
/// The kernels of one of supported_isas(); null for any other name.
[[nodiscard]] const Kernels* kernels_for(const std::string& isa);

}  // namespace layerscope
