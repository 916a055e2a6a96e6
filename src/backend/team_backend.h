// A backend whose operations on one batch are shared by a team, and which knows single-token steps.
#pragma once

#include "backend/backend.h"
#include "backend/team.h"

namespace layerscope {

/// Hands every operation on, in parts where that pays. Which member computes a row, an output or a head changes no bit.
class TeamBackend final : public Backend {
 public:
  /// `team` may be null: the caller alone. `steps`: every product is one of single-token steps, whatever the number of
  /// rows.
  TeamBackend(const Backend& inner, Team* team, bool steps) : inner_(inner), team_(team), steps_(steps) {
    if (team_ != nullptr) inner_.enter_worker();
  }

  const BackendInfo& info() const noexcept override { return inner_.info(); }
  void enter_worker() const noexcept override { inner_.enter_worker(); }
  std::unique_ptr<Scratch> make_scratch() const override { return inner_.make_scratch(); }
  Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                             Activation activation) const override {
    return inner_.pack(parts, bias, activation);
  }
  std::int64_t tile_rows() const noexcept override { return inner_.tile_rows() * members(); }

  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                Scratch& scratch) const override;
  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch& scratch) const override;
  void attend(std::span<const AttentionCall> calls, Scratch& scratch) const override;

  void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept override;
  void norm_heads(const NormView& norm, std::int64_t heads, const MutableRows& rows) const noexcept override;
  void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept override;
  void rotate(const RotationArguments& arguments, const MutableRows& rows) const noexcept override;
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override;
  void clamped_gate(float limit, float alpha, const RowsView& gate, const RowsView& up,
                    const MutableRows& out) const noexcept override;
  void xielu(float alpha_p, float alpha_n, float beta, float epsilon, const RowsView& in,
             const MutableRows& out) const noexcept override;
  void activate(Activation activation, const RowsView& in, const MutableRows& out) const noexcept override;
  void hadamard(const RowsView& a, const RowsView& b, const MutableRows& out) const noexcept override;
  void convert(const RowsView& in, const MutableRows& out) const noexcept override;
  bool all_finite(const RowsView& rows) const noexcept override;

  void gather(const MatrixView& table, std::span<const std::int32_t> ids, float scale, bool accumulate,
              const MutableRows& out) const noexcept override {
    inner_.gather(table, ids, scale, accumulate, out);
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

 private:
  [[nodiscard]] int members() const noexcept { return team_ != nullptr ? team_->size() : 1; }
  /// work(first, count) for parts of the rows, one a member, where there is enough in them.
  template <class Work>
  void by_rows(std::int64_t rows, std::int64_t width, const Work& work) const noexcept;

  const Backend& inner_;
  Team* team_;
  bool steps_;
};

}  // namespace layerscope
