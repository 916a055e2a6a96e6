// A backend whose operations on one batch are shared by a team, and which knows single-token steps.
#pragma once

#include "backend/forwarding_backend.h"
#include "backend/team.h"

namespace layerscope {

/// Hands every operation on, in parts where that pays. Which member computes a row, an output or a head changes no bit.
class TeamBackend final : public ForwardingBackend {
 public:
  /// `team` may be null: the caller alone. `steps`: every product is one of single-token steps, whatever the number of
  /// rows.
  TeamBackend(const Backend& inner, Team* team, bool steps) : ForwardingBackend(inner), team_(team), steps_(steps) {
    if (team_ != nullptr) inner_.enter_worker();
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

 private:
  [[nodiscard]] int members() const noexcept { return team_ != nullptr ? team_->size() : 1; }
  /// work(first, count) for parts of the rows, one a member, where there is enough in them.
  template <class Work>
  void by_rows(std::int64_t rows, std::int64_t width, const Work& work) const noexcept;

  Team* team_;
  bool steps_;
};

}  // namespace layerscope
