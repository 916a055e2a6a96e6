#include "kernels/isa.h"
#include "kernels/reference.h"
#define LS_CAT2(a,b) a##b
#define LS_CAT(a,b) LS_CAT2(a,b)
namespace layerscope {
namespace LAYERSCOPE_ISA {
namespace {
void activate(Activation activation, const float* bias, const RowsView& in, const MutableRows& out) {
  for (std::int64_t r = 0; r < in.rows; ++r) for (std::int64_t j = 0; j < in.width; ++j)
    reference::store(out, r, j, reference::activate(activation, reference::load<float>(in, r, j) + (bias ? bias[j] : 0.0f)));
}
void attention(const AttentionArguments& a, DType, const MutableRows& z, AlignedBuffer&) { reference::attention<float>(a, z); }
void attention_probabilities(const AttentionArguments& a, DType, std::int64_t h, std::int64_t f, const MutableRows& z, AlignedBuffer&) { reference::attention_probabilities<float>(a, h, f, z); }
ProductWeights pack(std::span<const MatrixView> parts, DType) {
  ProductWeights w; for (auto& p : parts) { w.inputs = p.inputs; w.outputs += p.outputs; }
  auto* to = reinterpret_cast<float*>(w.panels.reserve(static_cast<std::size_t>(w.inputs * w.outputs * 4)));
  for (auto& p : parts) for (std::int64_t o = 0; o < p.outputs; ++o) for (std::int64_t i = 0; i < p.inputs; ++i) *to++ = load_element<float>(p.dtype, p.data, o * p.output_stride + i * p.input_stride);
  return w;
}
void multiply(const ProductWeights& w, const float* bias, Activation activation, const RowsView& in, const MutableRows& out, AlignedBuffer&) {
  MatrixView m{DType::kF32, w.panels.data(), w.outputs, w.inputs, w.inputs, 1};
  reference::linear<float>(std::span(&m, 1), bias ? std::span(bias, static_cast<std::size_t>(w.outputs)) : std::span<const float>(), activation, in, out);
}
}  // namespace
}  // namespace LAYERSCOPE_ISA
const Kernels& LS_CAT(LAYERSCOPE_ISA, _kernels)() {
  static const Kernels table = {reference::norm<float>, reference::norm_heads<float>, reference::add<float>, reference::gather<float>, reference::rotate<float>,
    LAYERSCOPE_ISA::activate, reference::gate<float>, reference::convert<float>, reference::all_finite, LAYERSCOPE_ISA::attention, LAYERSCOPE_ISA::attention_probabilities, LAYERSCOPE_ISA::pack, LAYERSCOPE_ISA::multiply};
  return table;
}
}  // namespace layerscope
