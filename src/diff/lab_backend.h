// A backend that does what another one does, except for the changes of a setup.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/forwarding_backend.h"
#include "diff/block_setup.h"
#include "engine/weights.h"

namespace layerscope {

/// For one pass at a time: attentions are told apart by the order of their calls.
class LabBackend final : public ForwardingBackend {
 public:
  /// Both must outlive this. `inner` has one type for stream and operands, kF32 or kF64.
  LabBackend(const Backend& inner, const BlockSetup& setup);

  /// Learns which weights belong to which module; packed by this backend.
  void name(const Stack& stack, const StackWeights& weights);

  Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts, std::span<const float> bias,
                                             Activation activation) const override;
  Status linear(const PackedLinear& weights, const RowsView& in, const MutableRows& out,
                Scratch& scratch) const override;
  Status linear_steps(const PackedLinear& weights, OutputRange outputs, const RowsView& in, const MutableRows& out,
                      Scratch& scratch) const override;
  void norm(const NormView& norm, const RowsView& in, const MutableRows& out) const noexcept override;
  void add(const MutableRows& x, const RowsView& t, float scale, const NormView* after) const noexcept override;
  void attend(std::span<const AttentionCall> calls, Scratch& scratch) const override;
  void gate(Activation activation, const RowsView& gate, const RowsView& up,
            const MutableRows& out) const noexcept override;

 private:
  const BlockSetup& setup_;
  std::map<const void*, std::string> modules_;  // of packed matrices and norms
  std::vector<std::string> attentions_;         // the steps that attend, in order
  std::vector<bool> crosses_;                   // which of them read the encoder
  mutable std::size_t attended_ = 0;
};

}  // namespace layerscope
