// From the scores of a row to its next token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "session/generation_config.h"

namespace layerscope {

/// What the choice of a row's next token depends on beside its scores.
struct SampledRow {
  std::int64_t number = 0;            ///< in the input; the same row draws the same in any company
  std::span<const std::int32_t> ids;  ///< the sequence so far: prompt and chosen tokens, the decoder's with two stacks
  std::int64_t prompt_tokens = 0;     ///< how many of them are the prompt
  std::span<const std::int32_t> source;  ///< what the encoder read; the prompt where there is none
};

/// Changes scores and chooses, in the order of transformers 5 (generation/utils.py: _get_logits_processor; the formulas
/// are those of generation/logits_process.py). Probabilities are float64.
class TokenSampler {
 public:
  /// `max_new_tokens` decides where a forced end stands.
  TokenSampler(GenerationConfig config, std::int64_t max_new_tokens, std::uint64_t seed)
      : config_(std::move(config)), max_new_tokens_(max_new_tokens), seed_(seed) {}

  /// The next token. `scores`, [vocabulary], are changed. At temperature 0 the highest score wins, the lowest id among
  /// equals; otherwise the token is drawn with a number that depends on seed, row and step alone.
  [[nodiscard]] std::int32_t choose(std::span<float> scores, const SampledRow& row) const;

  /// Penalties, bans and forced tokens: what holds for greedy search too.
  void process(std::span<float> scores, const SampledRow& row) const;
  /// Temperature and the cuts at unlikely tokens, which get -infinity.
  void warp(std::span<float> scores) const;

 private:
  void force(std::span<float> scores, std::span<const std::int32_t> ids) const;

  GenerationConfig config_;
  std::int64_t max_new_tokens_ = 0;
  std::uint64_t seed_ = 0;
};

/// A number from 0 up to 1 for a row's step, the same for equal arguments.
[[nodiscard]] double uniform_draw(std::uint64_t seed, std::int64_t row, std::int64_t step) noexcept;

}  // namespace layerscope
