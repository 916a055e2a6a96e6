// The CPU: products by oneDNN where its kernels keep rows apart, else our own; everything else by our kernels.
#include <algorithm>
#include <cstdint>
#include <new>

#include "backend/backend.h"
#include "backend/onednn_product.h"
#include "kernels/kernels.h"
#include "kernels/reference_experts.h"

namespace layerscope {
namespace {

struct CpuScratch final : Scratch {
  OneDnnScratch library;
  AlignedBuffer kernels;
};

struct OwnLinear final : PackedLinear {
  ProductWeights weights;
  std::vector<float> bias;
  Activation activation = Activation::kNone;
};

/// Row `index` of rows.
template <class AnyRows>
AnyRows one_row(AnyRows rows, std::int64_t index) {
  rows.data += index * rows.stride * static_cast<std::int64_t>(dtype_size(rows.dtype));
  rows.rows = 1;
  return rows;
}

class CpuBackend final : public Backend {
 public:
  CpuBackend(const Kernels& kernels, const std::string& isa, DType operand) : kernels_(kernels) {
    const bool library_fits = operand == DType::kBF16 ? isa == "avx512_bf16" : isa.starts_with("avx512");
    if (library_fits && onednn_has_invariant_kernels(operand)) {
      auto product = std::make_unique<OneDnnProduct>(operand, kernels);
      if (product->rows_are_invariant()) library_ = std::move(product);
    }
    info_ = {"cpu", isa, library_ ? onednn_version() : "own", "", DType::kF32, operand};
    info_.determinism = "row-invariant; " + isa + "; products: " + info_.library;
  }

  const BackendInfo& info() const noexcept override { return info_; }
  void enter_worker() const noexcept override { onednn_enter_worker(); }
  std::unique_ptr<Scratch> make_scratch() const override { return std::make_unique<CpuScratch>(); }

  Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                             Activation activation) const override try {
    if (library_) return library_->pack(parts, bias, activation);
    auto packed = std::make_unique<OwnLinear>();
    packed->weights = kernels_.pack(parts, info_.operand);
    packed->bias.assign(bias.begin(), bias.end());
    packed->activation = activation;
    packed->inputs = packed->weights.inputs;
    packed->outputs = packed->weights.outputs;
    packed->grain = kernels_.panel;
    packed->bytes = packed->weights.panels.bytes() + bias.size_bytes();
    return std::unique_ptr<PackedLinear>(std::move(packed));
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, "packing a weight matrix: out of memory"};
  }

  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                Scratch& scratch) const override try {
    auto& memory = static_cast<CpuScratch&>(scratch);
    if (library_) return library_->linear(weights, in, out, memory.library);
    const auto& own = static_cast<const OwnLinear&>(weights);
    kernels_.multiply(own.weights, own.bias.empty() ? nullptr : own.bias.data(), own.activation, in, out,
                      memory.kernels);
    return {};
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, "a matrix product: out of memory"};
  }

  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch& scratch) const override try {
    auto& memory = static_cast<CpuScratch&>(scratch);
    if (library_) return library_->linear_steps(weights, outputs, in, out, memory.library);
    const auto& own = static_cast<const OwnLinear&>(weights);
    const std::int64_t panel_bytes =
        own.inputs * kernels_.panel * static_cast<std::int64_t>(dtype_size(own.weights.dtype));
    kernels_.multiply_steps({.data = own.weights.panels.data(),
                             .dtype = own.weights.dtype,
                             .inputs = own.inputs,
                             .outputs = own.outputs,
                             .panel_bytes = panel_bytes,
                             .chain = own.inputs},
                            outputs, own.bias.empty() ? nullptr : own.bias.data(), own.activation, in, out,
                            memory.kernels);
    return {};
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, "a matrix product: out of memory"};
  }

  void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
              const MutableRows& out) const noexcept override {
    kernels_.gather(table, ids, scale, accumulate, out);
  }
  void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept override {
    kernels_.norm(norm, in, out);
  }
  void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept override {
    kernels_.norm_heads(norm, heads, rows);
  }
  void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept override {
    kernels_.add(x, t, scale, after);
  }
  void rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept override {
    kernels_.rotate(arguments, rows);
  }
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override {
    kernels_.gate(activation, gate, up, out);
  }
  void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                    const MutableRows& out) const noexcept override {
    kernels_.clamped_gate(limit, alpha, gate, up, out);
  }
  void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
             const MutableRows& out) const noexcept override {
    kernels_.xielu(alpha_p, alpha_n, beta, epsilon, in, out);
  }
  void activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept override {
    kernels_.activate(activation, nullptr, in, out);
  }
  void clamp(float limit, const MutableRows& rows) const noexcept override { kernels_.clamp(limit, rows); }
  void scale_rows(std::span<const float> factors, const MutableRows& rows) const noexcept override {
    kernels_.scale_rows(factors, rows);
  }
  void take(const RowsView& in, std::span<const std::int32_t> indices, const MutableRows& out) const noexcept override {
    for (std::int64_t i = 0; i < out.rows; ++i) {
      kernels_.convert(one_row(in, indices[static_cast<std::size_t>(i)]), one_row(out, i));
    }
  }
  void add_at(std::span<const std::int32_t> indices, std::span<const float> factors, const RowsView& t,
              const MutableRows& x) const noexcept override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      kernels_.add(one_row(x, indices[i]), one_row(t, static_cast<std::int64_t>(i)), factors[i], nullptr);
    }
  }
  void route(const RoutingArguments& arguments, const MutableRows& scores, std::span<std::int32_t> ids,
             std::span<float> weights) const noexcept override {
    reference::route<float>(arguments, scores, ids, weights);
  }
  void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                         const RowsView& c, const MutableRows& out) const noexcept override {
    kernels_.short_convolution(kernel, bias, taps, bx, c, out);
  }
  void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept override {
    kernels_.hadamard(a, b, out);
  }
  std::size_t page_bytes(std::int64_t kv_heads, std::int64_t d_qk, std::int64_t d_v) const noexcept override {
    return kernels_.page_bytes(info_.operand, kv_heads, d_qk, d_v);
  }
  void remember(const AttentionArguments& arguments, Scratch& scratch) const override {
    kernels_.remember(arguments, info_.operand, static_cast<CpuScratch&>(scratch).kernels);
  }
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch& scratch) const override {
    const auto attend = arguments.positions != nullptr ? kernels_.disentangled_attention : kernels_.attention;
    attend(arguments, info_.operand, z, static_cast<CpuScratch&>(scratch).kernels);
  }
  void attention_probabilities(const AttentionArguments& arguments, std::int64_t head, std::int64_t first_query,
                               const MutableRows& probabilities, Scratch& scratch) const override {
    const auto show =
        arguments.positions != nullptr ? kernels_.disentangled_probabilities : kernels_.attention_probabilities;
    show(arguments, info_.operand, head, first_query, probabilities, static_cast<CpuScratch&>(scratch).kernels);
  }
  void convert(const RowsView& in, const MutableRows& out) const noexcept override { kernels_.convert(in, out); }
  bool all_finite(const RowsView& rows) const noexcept override { return kernels_.all_finite(rows); }

 private:
  const Kernels& kernels_;
  std::unique_ptr<OneDnnProduct> library_;
  BackendInfo info_;
};

}  // namespace

std::vector<std::string> cpu_isas() { return supported_isas(); }

Result<std::unique_ptr<Backend>> make_cpu_backend(const CpuOptions& options) {
  const std::vector<std::string> isas = cpu_isas();
  std::string list;
  for (const std::string& isa : isas) list += (list.empty() ? "" : ", ") + isa;
  if (isas.empty()) return Error{ErrorCode::kRuntime, "cpu: none of the instruction sets of this build (needs SSE4.2)"};
  const std::string isa = options.isa.empty() ? isas.front() : options.isa;
  const Kernels* kernels = kernels_for(isa);
  if (kernels == nullptr) {
    return Error{ErrorCode::kUsage, "cpu: no instruction set \"" + isa + "\" here (expected one of: " + list + ")"};
  }
  const DType operand = options.precision == Precision::kBF16 ? DType::kBF16 : DType::kF32;
  return std::unique_ptr<Backend>(std::make_unique<CpuBackend>(*kernels, isa, operand));
}

}  // namespace layerscope
