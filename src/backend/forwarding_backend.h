// What backends begin with that change a few operations of another one.
#pragma once

#include <memory>
#include <span>

#include "backend/backend.h"

namespace layerscope {

/// Hands every operation on to `inner`, which must outlive it; attend() call by call to its own attention(), so that
/// one who changes that need not change both.
class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(const Backend& inner) : inner_(inner) {}

  const BackendInfo& info() const noexcept override { return inner_.info(); }
  void enter_worker() const noexcept override { inner_.enter_worker(); }
  std::unique_ptr<Scratch> make_scratch() const override { return inner_.make_scratch(); }
  std::int64_t tile_rows() const noexcept override { return inner_.tile_rows(); }

  Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                             Activation activation) const override {
    return inner_.pack(parts, bias, activation);
  }
  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                Scratch& scratch) const override {
    return inner_.linear(weights, in, out, scratch);
  }
  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch& scratch) const override {
    return inner_.linear_steps(weights, outputs, in, out, scratch);
  }
  void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept override {
    inner_.norm(norm, in, out);
  }
  void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept override {
    inner_.norm_heads(norm, heads, rows);
  }
  void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept override {
    inner_.add(x, t, scale, after);
  }

  void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
              const MutableRows& out) const noexcept override {
    inner_.gather(table, ids, scale, accumulate, out);
  }
  void rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept override {
    inner_.rotate(arguments, rows);
  }
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override {
    inner_.gate(activation, gate, up, out);
  }
  void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                    const MutableRows& out) const noexcept override {
    inner_.clamped_gate(limit, alpha, gate, up, out);
  }
  void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
             const MutableRows& out) const noexcept override {
    inner_.xielu(alpha_p, alpha_n, beta, epsilon, in, out);
  }
  void activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept override {
    inner_.activate(activation, in, out);
  }
  void clamp(float limit, const MutableRows& rows) const noexcept override { inner_.clamp(limit, rows); }
  void scale_rows(std::span<const float> factors, const MutableRows& rows) const noexcept override {
    inner_.scale_rows(factors, rows);
  }
  void take(const RowsView& in, std::span<const std::int32_t> indices, const MutableRows& out) const noexcept override {
    inner_.take(in, indices, out);
  }
  void add_at(std::span<const std::int32_t> indices, std::span<const float> factors, const RowsView& t,
              const MutableRows& x) const noexcept override {
    inner_.add_at(indices, factors, t, x);
  }
  void route(const RoutingArguments& arguments, const MutableRows& scores, std::span<std::int32_t> ids,
             std::span<float> weights) const noexcept override {
    inner_.route(arguments, scores, ids, weights);
  }
  void short_convolution(const float* kernel, const float* bias, std::int64_t taps, const RowsView& bx,
                         const RowsView& c, const MutableRows& out) const noexcept override {
    inner_.short_convolution(kernel, bias, taps, bx, c, out);
  }
  void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept override {
    inner_.hadamard(a, b, out);
  }
  std::size_t page_bytes(std::int64_t kv_heads, std::int64_t d_qk, std::int64_t d_v) const noexcept override {
    return inner_.page_bytes(kv_heads, d_qk, d_v);
  }
  void remember(const AttentionArguments& arguments, Scratch& scratch) const override {
    inner_.remember(arguments, scratch);
  }
  void attention(const AttentionArguments& arguments, const MutableRows& z, Scratch& scratch) const override {
    inner_.attention(arguments, z, scratch);
  }
  void attention_probabilities(const AttentionArguments& arguments, std::int64_t head, std::int64_t first_query,
                               const MutableRows& probabilities, Scratch& scratch) const override {
    inner_.attention_probabilities(arguments, head, first_query, probabilities, scratch);
  }
  void convert(const RowsView& in, const MutableRows& out) const noexcept override { inner_.convert(in, out); }
  bool all_finite(const RowsView& rows) const noexcept override { return inner_.all_finite(rows); }

 protected:
  const Backend& inner_;
};

}  // namespace layerscope
