// From the token states of a batch to one pooled vector a sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "session/modules.h"

namespace layerscope {

/// Pools frames of tokens, in token order and one sequence after the other as the reducer delivers them. Sums run over
/// the tokens in order and in float64, so that their bits depend on the sequence alone.
///
/// Modes as in sentence_transformers 6.2, sentence_transformer/modules/pooling.py, for a row without padding: with the
/// first `skip` tokens left out `cls` is the first one after them, `weightedmean` goes on counting positions from the
/// row's start, and where nothing is left means are 0, `last` is 0 and `cls` is the row's first token.
class PoolingSink final : public Sink {
 public:
  /// A pooled vector of one sequence, [modes * width]; valid during the call.
  using Take = std::function<Status(std::uint64_t tag, std::span<const float> pooled)>;
  /// `lengths` are the tokens of every sequence by its place in `tags`; all outlive the sink.
  PoolingSink(const std::vector<Pooling>& modes, std::int64_t skip, const Batch& batch, StackId stack, Take take);

  [[nodiscard]] Status accept(const StateFrame& frame) override;

 private:
  struct Open {
    std::int64_t seen = 0, length = 0;
    std::vector<double> sum, weighted, highest;
    std::vector<float> first, last;
  };
  void begin(std::int64_t length, std::size_t width);
  void add(const float* row, std::int64_t position);
  Status finish(std::uint64_t tag);
  [[nodiscard]] bool has(Pooling mode) const noexcept;

  const std::vector<Pooling>& modes_;
  const std::int64_t skip_;
  const Batch& batch_;
  const std::vector<std::int64_t>& offsets_;
  Take take_;
  std::size_t sequence_ = 0;
  Open open_;
  std::vector<float> pooled_;
};

}  // namespace layerscope
