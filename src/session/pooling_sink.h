// From the token states of a batch to one pooled vector a sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "tap/pool.h"

namespace layerscope {

/// Pools frames of tokens, in token order and one sequence after the other as the reducer delivers them, in every mode
/// asked for, side by side (RowPool).
class PoolingSink final : public Sink {
 public:
  /// A pooled vector of one sequence, [modes * width]; valid during the call.
  using Take = std::function<Status(std::uint64_t tag, std::span<const float> pooled)>;
  /// The first `skip` tokens of every sequence are left out. `modes` and `batch` outlive the sink.
  PoolingSink(const std::vector<Pooling>& modes, std::int64_t skip, const Batch& batch, StackId stack, Take take);

  [[nodiscard]] Status accept(const StateFrame& frame) override;

 private:
  Status finish(std::uint64_t tag);

  const std::vector<Pooling>& modes_;
  const std::int64_t skip_;
  const Batch& batch_;
  const std::vector<std::int64_t>& offsets_;
  Take take_;
  std::vector<RowPool> pools_;  // one a mode
  std::size_t sequence_ = 0;
  std::int64_t length_ = 0;
  std::vector<float> pooled_;
};

}  // namespace layerscope
