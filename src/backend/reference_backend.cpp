// The plain loops of kernels/reference.h behind the interface, all in one type.
#include <algorithm>
#include <new>

#include "backend/backend.h"
#include "kernels/reference.h"
#include "kernels/reference_disentangled.h"

namespace layerscope {
namespace {

struct ReferenceLinear final : PackedLinear {
  std::vector<double> weights;  ///< [outputs, inputs]; holds every source type exactly
  std::vector<float> bias;
  Activation activation = Activation::kNone;
};

template <class T>
class ReferenceBackend final : public Backend {
 public:
  ReferenceBackend() {
    constexpr bool kDouble = sizeof(T) == sizeof(double);
    const DType dtype = kDouble ? DType::kF64 : DType::kF32;
    info_ = {"cpu", "reference", "own", kDouble ? "reference, float64" : "reference, float32", dtype, dtype};
  }

  const BackendInfo& info() const noexcept override { return info_; }
  std::unique_ptr<Scratch> make_scratch() const override { return std::make_unique<Scratch>(); }

  Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                             Activation activation) const override try {
    auto packed = std::make_unique<ReferenceLinear>();
    for (const MatrixView& part : parts) {
      packed->inputs = part.inputs;
      packed->outputs += part.outputs;
    }
    packed->weights.reserve(static_cast<std::size_t>(packed->outputs * packed->inputs));
    for (const MatrixView& part : parts) {
      for (std::int64_t o = 0; o < part.outputs; ++o) {
        for (std::int64_t i = 0; i < part.inputs; ++i) {
          packed->weights.push_back(
              load_element<double>(part.dtype, part.data, o * part.output_stride + i * part.input_stride));
        }
      }
    }
    packed->bias.assign(bias.begin(), bias.end());
    packed->activation = activation;
    packed->bytes = packed->weights.size() * sizeof(double) + packed->bias.size() * sizeof(float);
    return std::unique_ptr<PackedLinear>(std::move(packed));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, "packing a weight matrix: out of memory"};
  }

  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out, Scratch&) const override {
    const auto& packed = static_cast<const ReferenceLinear&>(weights);
    const MatrixView matrix{DType::kF64,    reinterpret_cast<const std::byte*>(packed.weights.data()),
                            packed.outputs, packed.inputs,
                            packed.inputs,  1};
    reference::linear<T>(std::span(&matrix, 1), packed.bias, packed.activation, in, out);
    return {};
  }

  void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
              const MutableRows& out) const noexcept override {
    reference::gather<T>(table, ids, scale, accumulate, out);
  }
  void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept override {
    reference::norm<T>(norm, in, out);
  }
  void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept override {
    reference::norm_heads<T>(norm, heads, rows);
  }
  void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept override {
    reference::add<T>(x, t, scale, after);
  }
  void rotate(const MutableRows& rows, std::int64_t heads, std::int64_t pairs, bool interleaved, const float* cosine,
              const float* sine, std::span<const std::int32_t> positions) const noexcept override {
    reference::rotate<T>(rows, heads, pairs, interleaved, cosine, sine, positions);
  }
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override {
    reference::gate<T>(activation, gate, up, out);
  }
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch&) const override {
    if (arguments.positions != nullptr) return reference::disentangled_attention<T>(arguments, z);
    reference::attention<T>(arguments, z);
  }
  void attention_probabilities(const AttentionArguments& arguments, std::int64_t head, std::int64_t first_query,
                               const MutableRows& probabilities, Scratch&) const override {
    if (arguments.positions != nullptr) {
      return reference::disentangled_attention_probabilities<T>(arguments, head, first_query, probabilities);
    }
    reference::attention_probabilities<T>(arguments, head, first_query, probabilities);
  }
  void convert(const RowsView& in, const MutableRows& out) const noexcept override { reference::convert<T>(in, out); }
  bool all_finite(const RowsView& rows) const noexcept override { return reference::all_finite(rows); }

 private:
  BackendInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(DType dtype) {
  if (dtype == DType::kF64) return std::make_unique<ReferenceBackend<double>>();
  return std::make_unique<ReferenceBackend<float>>();
}

}  // namespace layerscope
