// From the token states of a batch to a vector for every token that is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layerscope/tap.h"

namespace layerscope {

/// Takes frames of tokens, in token order and one sequence after the other as the reducer delivers them.
class TokenSink final : public Sink {
 public:
  /// The vector of one state.
  using Make = std::function<std::vector<float>(std::span<const float> state)>;
  /// The tokens of a sequence, given by its ids, that are kept, ascending.
  using Places = std::function<std::vector<std::int32_t>(std::span<const std::int32_t> ids)>;
  /// A sequence's vectors end to end; valid during the call.
  using Take = std::function<Status(std::uint64_t tag, std::span<const float> vectors)>;
  /// `batch` outlives the sink.
  TokenSink(const Batch& batch, StackId stack, Places places, Make make, Take take);

  [[nodiscard]] Status accept(const StateFrame& frame) override;

 private:
  const Batch& batch_;
  const Batch::Input& input_;
  Places places_;
  Make make_;
  Take take_;
  std::size_t sequence_ = 0, next_ = 0;
  std::int64_t length_ = 0;
  std::vector<std::int32_t> kept_;
  std::vector<float> vectors_;
};

/// The sequence of a batch with this tag, looked for from `from` on.
[[nodiscard]] std::size_t sequence_of(const Batch& batch, std::uint64_t tag, std::size_t from);

}  // namespace layerscope
