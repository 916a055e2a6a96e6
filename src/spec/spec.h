// What a transformer is, as data. A family fills these types in from config.json; one forward pass runs any of them.
//
// A block is a list of residual steps, each x = after(x + post(mixer(pre(x)))). Where a norm stands is which of
// the three optionals is set: pre-norm, post-norm and sandwich models differ in nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/functions.h"
#include "spec/rope.h"

namespace layerscope {

struct Norm {
  NormKind kind = NormKind::kLayer;
  float epsilon = 0;
  bool bias = false;
};

/// Learned position embeddings: row `offset + p` of a table for a token at position p.
struct LearnedPositions {
  std::int64_t rows = 0;    ///< of the table
  std::int64_t offset = 0;  ///< rows before the first usable one
};

struct Embedding {
  std::int64_t vocabulary_size = 0;
  std::optional<LearnedPositions> positions;
  std::int64_t types = 0;  ///< rows of the type table, 0 = no such table
  std::optional<Norm> norm;
};

/// A learned term of the scores that depends on head and distance only; one table for the stack. (Raffel et al. 2020,
/// _relative_position_bucket of transformers)
struct BucketBias {
  std::int64_t buckets = 0;
  std::int64_t max_distance = 0;
  bool bidirectional = false;
};

enum class KeySource : std::uint8_t {
  kSelf,        ///< the step's own input, every token sees every token
  kSelfCausal,  ///< the step's own input, tokens see themselves and what came before
  kEncoder,     ///< the encoder's final states
};

struct Attention {
  std::int64_t heads = 0, kv_heads = 0;
  std::int64_t d_qk = 0, d_v = 0;  ///< widths of a head
  KeySource keys = KeySource::kSelf;
  float scale = 1;                     ///< of the scores
  std::optional<std::int64_t> window;  ///< causal: keys a token sees, itself included
  std::optional<Rope> rope;
  std::optional<BucketBias> score;
  std::optional<Norm> q_norm, k_norm;  ///< over each head, before the rotation
  bool qkv_bias = false, out_bias = false;
};

struct Mlp {
  std::int64_t hidden = 0;
  Activation activation = Activation::kGeluErf;
  bool gated = false;  ///< down(act(gate(x)) * up(x)) rather than down(act(up(x)))
  bool bias = false;
};

using Mixer = std::variant<Attention, Mlp>;

struct Step {
  std::string slot;  ///< "attn", "cross", "mlp": the name in sites and slots
  std::optional<Norm> pre;
  Mixer mixer;
  std::optional<Norm> post;
  std::optional<Norm> after;
};

struct Block {
  std::vector<Step> steps;
};

struct Stack {
  Embedding embedding;
  std::vector<Block> blocks;
  std::optional<Norm> top;  ///< the final norm
};

/// How the decoder of an encoder-decoder gets its first token and its shifted labels.
struct DecoderStart {
  std::int64_t start_id = 0;
};

struct ModelSpec {
  std::int64_t width = 0;  ///< of the residual stream
  std::optional<Stack> encoder, decoder;
  std::optional<DecoderStart> decoder_start;  ///< with two stacks

  [[nodiscard]] bool two_stacks() const noexcept { return encoder && decoder; }
};

/// True if the mixer is an attention that reads the encoder.
[[nodiscard]] bool reads_encoder(const Step& step) noexcept;

/// `count` copies of a block.
[[nodiscard]] std::vector<Block> repeat(std::int64_t count, const Block& block);

}  // namespace layerscope
