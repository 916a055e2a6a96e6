// From the token states of a batch to one weight for every entry of the vocabulary.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "layerscope/model.h"
#include "layerscope/tap.h"
#include "session/modules.h"

namespace layerscope {

/// Takes frames of tokens, in token order and one sequence after the other as the reducer delivers them.
class SparseSink final : public Sink {
 public:
  /// A sequence's weights above 0, by ascending id; valid during the call.
  using Take =
      std::function<Status(std::uint64_t tag, std::span<const std::int32_t> ids, std::span<const float> weights)>;
  /// `vectors` and `batch` outlive the sink.
  SparseSink(const Model& model, const SparseVectors& vectors, const Batch& batch, StackId stack, Take take);

  [[nodiscard]] Status accept(const StateFrame& frame) override;

 private:
  /// Scores of the vocabulary for the frame's tokens, a few tokens at a time.
  Status add(const SpladeHead& head, const StateFrame& frame);
  Status add(const LexicalHead& head, const StateFrame& frame);
  Status finish(std::uint64_t tag);
  void keep_most_active();

  const Model& model_;
  const SparseVectors& vectors_;
  const Batch& batch_;
  const Batch::Input& input_;
  Take take_;
  std::size_t sequence_ = 0;
  std::int64_t length_ = 0;
  std::vector<double> weights_;  // of every entry
  std::vector<float> scores_;    // of a few tokens
  std::vector<std::int32_t> ids_;
  std::vector<float> values_;
};

}  // namespace layerscope
