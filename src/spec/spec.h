// What a transformer is, as data. A family fills these types in from config.json; one forward pass runs any of them.
//
// A block is a list of residual steps, each x = after(x + scale * post(mixer(pre(x)))). Where a norm stands is which of
// the three optionals is set: pre-norm, post-norm and sandwich models differ in nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/functions.h"
#include "layerscope/labels.h"
#include "layerscope/tap.h"
#include "spec/rope.h"

namespace layerscope {

struct Norm {
  NormKind kind = NormKind::kLayer;
  float epsilon = 0;
  bool bias = false;
  bool weight = true;  ///< false: no learned parameters at all
  float offset = 0;    ///< added to the stored weight before use
};

/// Position tables that are computed where the checkpoint holds none. Row p, column j of [rows, width]:
enum class Sinusoid : std::uint8_t {
  kInterleavedRates,  ///< sin | cos halves of p / 10000^(2j / width)        (transformers, modeling_marian.py)
  kEndpointRates,     ///< sin | cos halves of p * 10000^(-j / (width/2 - 1))  (transformers, modeling_m2m_100.py)
};

/// Position embeddings: a token at position p takes row `offset + p` of a table.
struct PositionTable {
  std::int64_t rows = 0;    ///< of the table
  std::int64_t offset = 0;  ///< rows before the first usable one
  /// Tokens of this id stand at row `offset - 1` and are not counted in the positions of those behind them.
  std::optional<std::int64_t> skipped_id;
  std::optional<Sinusoid> computed;  ///< what the table is where the checkpoint has none
  bool behind_norm = false;          ///< the embedding's norm is done before positions join
};

/// Tables of another width than the stream, with a matrix between the two.
struct EmbeddingProjection {
  enum class At : std::uint8_t {
    kTokens,  ///< of the token rows; positions and types join behind it
    kSum,     ///< of the sum of all tables, before the norm
    kNormed,  ///< behind the norm
  };
  std::int64_t width = 0;  ///< of the tables before it
  bool bias = false;
  At at = At::kNormed;
};

/// Tokens of id `mask_id` enter as zeros, and a sequence's token rows are scaled by trained_share / (1 - its share of
/// such tokens). (transformers, modeling_esm.py: token_dropout)
struct MaskRescale {
  std::int64_t mask_id = 0;
  float trained_share = 1;
};

struct Embedding {
  std::int64_t vocabulary_size = 0;
  float scale = 1;  ///< of the token rows
  std::optional<MaskRescale> rescale;
  std::optional<PositionTable> positions;
  std::int64_t types = 0;  ///< rows of the type table, 0 = no such table
  std::int64_t tasks = 0;  ///< rows of a table whose row 0 every token gets, 0 = no such table
  std::optional<Norm> norm;
  std::optional<EmbeddingProjection> projection;
};

/// A term of the scores that falls linearly with distance: slope[head] * (key - query). (Press et al. 2022)
struct Alibi {
  std::vector<float> slopes;  ///< [heads]
};

/// A learned term of the scores that depends on head and distance only. (Raffel et al. 2020, _relative_position_bucket
/// of transformers)
struct BucketBias {
  std::int64_t buckets = 0;
  std::int64_t max_distance = 0;
  bool bidirectional = false;
  bool own_table = false;         ///< every block has a table, rather than the stack one
  std::int64_t used_buckets = 0;  ///< of the table's, 0 = all
};

/// Scores between contents and relative positions. (He et al. 2021)
struct Disentangled {
  std::int64_t span = 0;          ///< rows of the table of relative positions: 2 * span, one table for the stack
  std::int64_t buckets = 0;       ///< logarithmic buckets of distances on each side; 0 = distances as they are
  std::int64_t max_distance = 0;  ///< that the buckets reach
  bool content_to_position = false, position_to_content = false;
  bool shared = false;   ///< positions go through the matrices of q and k rather than their own
  bool key_bias = true;  ///< of the positions' own matrices: keys have one (queries always do)
};

enum class KeySource : std::uint8_t {
  kSelf,        ///< the step's own input, every token sees every token
  kSelfCausal,  ///< the step's own input, tokens see themselves and what came before
  kEncoder,     ///< the encoder's final states
};

/// A norm over queries or keys.
struct HeadNorm {
  enum class Span : std::uint8_t {
    kHead,      ///< each head by itself, all with one set of weights
    kEachHead,  ///< each head by itself, with its own weights
    kRow,       ///< all heads of a token together
  };
  Norm norm;
  Span span = Span::kHead;
};

/// Queries and keys through narrow matrices. (Liu et al. 2024; transformers, modeling_deepseek_v3.py) The last
/// `rotated` elements of every head turn; those of the keys are one set shared by all heads.
struct LatentProjection {
  std::optional<std::int64_t> q_rank;  ///< none: queries come from one full matrix
  std::int64_t kv_rank = 0;
  std::int64_t rotated = 0;
  Norm norm;          ///< over the ranks
  bool bias = false;  ///< of the matrices into the ranks and of the output
};

struct Attention {
  std::int64_t heads = 0, kv_heads = 0;
  std::int64_t d_qk = 0, d_v = 0;  ///< widths of a head
  KeySource keys = KeySource::kSelf;
  float scale = 1;  ///< of the scores
  /// Keys a token sees on each side that it sees at all, itself included.
  std::optional<std::int64_t> window;
  std::optional<Rope> rope;
  bool rotate_values = false;
  std::variant<std::monostate, Alibi, BucketBias, Disentangled> score;
  std::optional<HeadNorm> q_norm, k_norm;
  bool norm_rotated = false;     ///< the norms follow the rotation rather than go before it
  std::optional<float> clip;     ///< queries, keys and values are held within -clip ... clip
  std::optional<float> softcap;  ///< scores become softcap * tanh(score / softcap)
  bool sinks = false;            ///< a learned score a head takes part in the softmax and is dropped
  std::optional<LatentProjection> latent;
  bool qkv_bias = false, out_bias = false;
  bool key_bias = true;  ///< with qkv_bias: keys have one too
};

/// x * x * alpha_p + beta x for x > 0, (expm1(min(x, epsilon)) - x) * alpha_n + beta x otherwise; both alphas are made
/// from learned values. (transformers, activations.py: XIELUActivation)
struct Xielu {
  float beta = 0.5F, epsilon = -1e-6F;
  bool narrow = false;  ///< the alphas are made in bfloat16
};

struct Mlp {
  std::int64_t hidden = 0;
  Activation activation = Activation::kGeluErf;
  bool gated = false;  ///< down(act(gate(x)) * up(x)) rather than down(act(up(x)))
  bool bias = false;
  std::optional<Xielu> xielu;  ///< instead of `activation`
};

/// Which experts a token goes to and with what weights.
struct Router {
  enum class Rule : std::uint8_t {
    kSoftmaxThenTop,  ///< softmax over all, the `chosen` largest
    kTopThenSoftmax,  ///< the `chosen` largest scores, softmax over them
    kSigmoidGroups,   ///< sigmoid; chosen by value + correction within the best groups. (Liu et al. 2024)
  };
  Rule rule = Rule::kSoftmaxThenTop;
  std::int64_t experts = 0, chosen = 0;
  bool renormalise = false;  ///< the chosen weights are divided by their sum
  float scale = 1;           ///< of the weights
  bool bias = false;
  std::int64_t groups = 1, chosen_groups = 1;
};

/// Gates held to at most `limit`, ups to -limit ... limit: (up + 1) * gate * sigmoid(alpha * gate).
/// (transformers, modeling_gpt_oss.py)
struct ClampedGate {
  float limit = 7, alpha = 1.702F;
};

/// Gated MLPs of which each token takes a few, and one that all tokens take.
struct Experts {
  Router router;
  std::int64_t hidden = 0;
  Activation activation = Activation::kSilu;
  std::optional<ClampedGate> clamped;  ///< instead of act(gate) * up
  bool bias = false;
  struct Shared {
    std::int64_t hidden = 0;
    bool gated = false;  ///< scaled by the sigmoid of a learned score
  };
  std::optional<Shared> shared;
};

/// out(c * conv(b * x)) with b, c, x = in(.): a causal convolution over each channel by itself. (transformers,
/// modeling_lfm2.py)
struct ShortConv {
  std::int64_t taps = 0;
  bool bias = false;
};

/// activation(conv(.)) over the tokens, all channels of a group mixed. (transformers, modeling_deberta_v2.py:
/// ConvLayer)
struct TokenConv {
  std::int64_t taps = 0, groups = 1;
  Activation activation = Activation::kTanh;
};

using Mixer = std::variant<Attention, Mlp, Experts, ShortConv, TokenConv>;

struct Step {
  enum class Reads : std::uint8_t {
    kStream,      ///< what the step before left
    kBlockInput,  ///< the block's input: steps side by side
  };
  std::string slot;  ///< "attn", "cross", "mlp": the name in sites and slots
  Reads reads = Reads::kStream;
  std::optional<Norm> pre;
  bool same_pre = false;  ///< pre is the one of the step before, weights and all
  Mixer mixer;
  std::optional<Norm> post;
  float scale = 1;
  bool carries_pre = false;  ///< pre(x) rather than x is what the mixer's result is added to
  std::optional<Norm> after;
};

struct Block {
  std::vector<Step> steps;
  std::optional<std::int64_t> same_as;  ///< an earlier block whose weights this one uses
  std::string source;                   ///< what "{i}" stands for in names of tensors; empty: the block's number
};

/// A matrix at the end of a stack.
struct TopProjection {
  std::int64_t width = 0;
  bool bias = false;
};

/// Rotations that a checkpoint may bring along, one set for all blocks; they hold instead of those of the config.
struct StoredRotation {
  std::int64_t pairs = 0;
  std::int64_t rows = 0;  ///< of a table [rows, 2 * pairs] of sines | cosines; 0: radians a position, [pairs]
};

struct Stack {
  Embedding embedding;
  std::vector<Block> blocks;
  std::optional<Norm> top;                  ///< the final norm
  std::optional<TopProjection> projection;  ///< behind it
  std::optional<StoredRotation> rotation;
  std::optional<Norm> relative_norm;  ///< over the table of relative positions (Disentangled)
  [[nodiscard]] std::int64_t final_width(std::int64_t width) const noexcept {
    return projection ? projection->width : width;
  }
};

/// From the final states to scores over the vocabulary: softcap(scale * (W transform(x) + bias)).
struct Head {
  struct Transform {
    std::int64_t width = 0;
    Activation activation = Activation::kGeluErf;
    std::optional<Norm> norm;
    bool bias = true;
  };
  std::optional<Transform> transform;
  std::optional<std::int64_t> outputs;  ///< scores, where they are not as many as the token table has rows
  bool tied = true;                     ///< W is the token table, unless the checkpoint has a tensor of its own for it
  bool bias = false;
  float scale = 1;
  float input_scale = 1;  ///< of x, where the model has it there
  std::optional<float> softcap;
};

/// From the final states to scores over labels: a classifier's or a regressor's.
struct LabelHead {
  enum class Reads : std::uint8_t {
    kFirst,         ///< the first token
    kLast,          ///< the last token that is not `token`, padding; the first where all are
    kEnd,           ///< the token under the last main token of id `token`
    kMean,          ///< the mean over the tokens
    kEach,          ///< every token by itself
    kEachThenMean,  ///< every token by itself; the mean of its scores is the row's
  };
  Head head{.tied = false};  ///< `outputs` is set
  Reads reads = Reads::kLast;
  std::optional<std::int64_t> token;
  std::vector<std::string> names;  ///< one a label
  LabelProblem problem = LabelProblem::kOneLabel;
};

/// How the decoder of an encoder-decoder gets its first token and its shifted labels.
struct DecoderStart {
  std::int64_t start_id = 0;
  /// Labels follow their own last token other than this padding, not start_id. (transformers, modeling_mbart.py:
  /// shift_tokens_right)
  std::optional<std::int64_t> wrapped_before_id;
};

/// What some encoders make of the first final state of a row, beside any head: activation(W x + b).
struct Pooler {
  Activation activation = Activation::kTanh;
};

struct ModelSpec {
  std::int64_t width = 0;  ///< of the residual stream
  std::optional<Stack> encoder, decoder;
  std::optional<DecoderStart> decoder_start;  ///< with two stacks
  std::optional<Head> head;                   ///< of the decoder where there is one, else of the encoder
  std::optional<LabelHead> labels;            ///< likewise; a model has at most one of the two
  std::optional<Pooler> pooler;               ///< of the encoder, where its tensors are stored

  [[nodiscard]] bool two_stacks() const noexcept { return encoder && decoder; }
  /// The stack of that name, which must be there.
  [[nodiscard]] const Stack& stack(StackId id) const noexcept { return id == StackId::kEncoder ? *encoder : *decoder; }
  /// The stack whose final states the head reads.
  [[nodiscard]] StackId head_stack() const noexcept { return decoder ? StackId::kDecoder : StackId::kEncoder; }
  /// Scores that the head makes, or would make.
  [[nodiscard]] std::int64_t scores() const noexcept {
    const std::int64_t tokens = stack(head_stack()).embedding.vocabulary_size;
    return head ? head->outputs.value_or(tokens) : tokens;
  }
};

/// True if the mixer is an attention that reads the encoder.
[[nodiscard]] bool reads_encoder(const Step& step) noexcept;
[[nodiscard]] bool reads_block_input(const Step& step) noexcept;

/// `count` copies of a block.
[[nodiscard]] std::vector<Block> repeat(std::int64_t count, const Block& block);

/// More heads than any model has: no slopes are made for more.
inline constexpr std::int64_t kMostSlopes = 4096;
/// The slopes of Alibi for up to kMostSlopes heads. (transformers, modeling_bloom.py: build_alibi_tensor)
[[nodiscard]] std::vector<float> alibi_slopes(std::int64_t heads, double max_bias = 8);

}  // namespace layerscope
