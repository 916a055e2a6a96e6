// The plain loops of kernels/reference.h behind the interface, all in one type.
#include <algorithm>
#include <new>

#include "backend/backend.h"
#include "kernels/reference_disentangled.h"
#include "kernels/reference_experts.h"

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
    if constexpr (sizeof(T) == sizeof(double)) {
      if (in.dtype == DType::kF64 && out.dtype == DType::kF64) {
        linear_doubles(packed, in, out);
        return {};
      }
    }
    const MatrixView matrix{DType::kF64,    reinterpret_cast<const std::byte*>(packed.weights.data()),
                            packed.outputs, packed.inputs,
                            packed.inputs,  1};
    reference::linear<T>(std::span(&matrix, 1), packed.bias, packed.activation, in, out);
    return {};
  }

  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch&) const override {
    const auto& packed = static_cast<const ReferenceLinear&>(weights);
    const std::int64_t count = outputs.end - outputs.begin;
    const MatrixView matrix{
        DType::kF64,   reinterpret_cast<const std::byte*>(packed.weights.data() + outputs.begin * packed.inputs),
        count,         packed.inputs,
        packed.inputs, 1};
    MutableRows part = out;
    part.data += outputs.begin * static_cast<std::int64_t>(dtype_size(out.dtype));
    part.width = count;
    const std::span<const float> bias = packed.bias;
    reference::linear<T>(
        std::span(&matrix, 1),
        bias.empty() ? bias : bias.subspan(static_cast<std::size_t>(outputs.begin), static_cast<std::size_t>(count)),
        packed.activation, in, part);
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
  void rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept override {
    reference::rotate<T>(arguments, rows);
  }
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override {
    reference::gate<T>(activation, gate, up, out);
  }
  void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                    const MutableRows& out) const noexcept override {
    reference::clamped_gate<T>(limit, alpha, gate, up, out);
  }
  void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
             const MutableRows& out) const noexcept override {
    reference::xielu<T>(alpha_p, alpha_n, beta, epsilon, in, out);
  }
  void activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept override {
    reference::activate<T>(activation, in, out);
  }
  void clamp(float limit, const MutableRows& rows) const noexcept override { reference::clamp<T>(limit, rows); }
  void scale_rows(std::span<const float> factors, const MutableRows& rows) const noexcept override {
    reference::scale_rows<T>(factors, rows);
  }
  void take(const RowsView& in, std::span<const std::int32_t> indices, const MutableRows& out) const noexcept override {
    reference::take<T>(in, indices, out);
  }
  void add_at(std::span<const std::int32_t> indices, std::span<const float> factors, const RowsView& t,
              const MutableRows& x) const noexcept override {
    reference::add_at<T>(indices, factors, t, x);
  }
  void route(const RoutingArguments& arguments, const MutableRows& scores, std::span<std::int32_t> ids,
             std::span<float> weights) const noexcept override {
    reference::route<T>(arguments, scores, ids, weights);
  }
  void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                         const RowsView& c, const MutableRows& out) const noexcept override {
    reference::short_convolution<T>(kernel, bias, taps, bx, c, out);
  }
  void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept override {
    reference::hadamard<T>(a, b, out);
  }
  /// A page holds the tokens' keys, all heads side by side, and then their values.
  std::size_t page_bytes(std::int64_t kv_heads, std::int64_t d_qk, std::int64_t d_v) const noexcept override {
    return static_cast<std::size_t>(KeyValuePages::kTokens * kv_heads * (d_qk + d_v)) * sizeof(T);
  }
  void remember(const AttentionArguments& arguments, Scratch&) const override {
    const std::int64_t past = arguments.cache.tokens - arguments.k.rows;
    for (std::int64_t row = 0; row < arguments.k.rows; ++row) {
      const Slot slot(arguments, past + row);
      for (std::int64_t j = 0; j < arguments.k.width; ++j) slot.key[j] = reference::load<T>(arguments.k, row, j);
      for (std::int64_t j = 0; j < arguments.v.width; ++j) slot.value[j] = reference::load<T>(arguments.v, row, j);
    }
  }
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch&) const override {
    if (arguments.positions != nullptr) return reference::disentangled_attention<T>(arguments, z);
    const Remembered remembered(arguments);
    reference::attention<T>(remembered.arguments, z);
  }
  void attention_probabilities(const AttentionArguments& arguments, std::int64_t head, std::int64_t first_query,
                               const MutableRows& probabilities, Scratch&) const override {
    if (arguments.positions != nullptr) {
      return reference::disentangled_attention_probabilities<T>(arguments, head, first_query, probabilities);
    }
    const Remembered remembered(arguments);
    reference::attention_probabilities<T>(remembered.arguments, head, first_query, probabilities);
  }
  void convert(const RowsView& in, const MutableRows& out) const noexcept override { reference::convert<T>(in, out); }
  bool all_finite(const RowsView& rows) const noexcept override { return reference::all_finite(rows); }

 private:
  /// Where a token of a cache lies in its page.
  struct Slot {
    Slot(const AttentionArguments& a, std::int64_t token) {
      const std::int64_t at = token % KeyValuePages::kTokens, k_width = a.kv_heads * a.d_qk,
                         v_width = a.kv_heads * a.d_v;
      T* page = reinterpret_cast<T*>(a.cache.pages[token / KeyValuePages::kTokens]);
      key = page + at * k_width;
      value = page + KeyValuePages::kTokens * k_width + at * v_width;
    }
    T *key = nullptr, *value = nullptr;
  };
  /// The arguments with what a cache holds as plain rows.
  struct Remembered {
    explicit Remembered(const AttentionArguments& given) : arguments(given) {
      if (given.cache.pages == nullptr) return;
      const std::int64_t k_width = given.kv_heads * given.d_qk, v_width = given.kv_heads * given.d_v;
      for (std::int64_t token = 0; token < given.cache.tokens; ++token) {
        const Slot slot(given, token);
        keys.insert(keys.end(), slot.key, slot.key + k_width);
        values.insert(values.end(), slot.value, slot.value + v_width);
      }
      constexpr DType kType = sizeof(T) == sizeof(double) ? DType::kF64 : DType::kF32;
      arguments.k = {kType, reinterpret_cast<const std::byte*>(keys.data()), given.cache.tokens, k_width, k_width};
      arguments.v = {kType, reinterpret_cast<const std::byte*>(values.data()), given.cache.tokens, v_width, v_width};
      arguments.cache = {};
    }
    AttentionArguments arguments;
    std::vector<T> keys, values;
  };

  /// reference::linear with the types known, several outputs at a time: the same sums in the same order.
  static void linear_doubles(const ReferenceLinear& packed, const RowsView& in, const MutableRows& out) noexcept {
    constexpr std::int64_t kOutputs = 8;
    const std::int64_t inputs = packed.inputs;
    for (std::int64_t first = 0; first < packed.outputs; first += kOutputs) {
      const std::int64_t count = std::min(kOutputs, packed.outputs - first);
      const double* const weights = packed.weights.data() + first * inputs;
      for (std::int64_t row = 0; row < in.rows; ++row) {
        const double* const x = in.row<double>(row);
        double sums[kOutputs] = {};
        if (count == kOutputs) {
          for (std::int64_t i = 0; i < inputs; ++i) {
            for (std::int64_t o = 0; o < kOutputs; ++o) sums[o] += x[i] * weights[o * inputs + i];
          }
        } else {
          for (std::int64_t o = 0; o < count; ++o) {
            for (std::int64_t i = 0; i < inputs; ++i) sums[o] += x[i] * weights[o * inputs + i];
          }
        }
        for (std::int64_t o = 0; o < count; ++o) {
          const double bias =
              packed.bias.empty() ? 0 : static_cast<double>(packed.bias[static_cast<std::size_t>(first + o)]);
          out.row<double>(row)[first + o] = reference::activate(packed.activation, sums[o] + bias);
        }
      }
    }
  }

  BackendInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend(DType dtype) {
  if (dtype == DType::kF64) return std::make_unique<ReferenceBackend<double>>();
  return std::make_unique<ReferenceBackend<float>>();
}

}  // namespace layerscope
