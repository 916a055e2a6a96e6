// What can be observed, what is asked for, and where the observed values go.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// A model's stacks. Encoder-only and decoder-only models have one of them.
enum class StackId : std::uint8_t { kEncoder = 0, kDecoder = 1 };

/// The points of a forward pass at which values can be observed (docs/sites.md).
enum class SiteKind : std::uint8_t {
  kEmbed,       ///< embed
  kStepIn,      ///< block.{i}.{step}.in
  kQueries,     ///< block.{i}.{step}.q
  kKeys,        ///< block.{i}.{step}.k
  kValues,      ///< block.{i}.{step}.v
  kProbs,       ///< block.{i}.{step}.probs
  kHeads,       ///< block.{i}.{step}.z
  kAct,         ///< block.{i}.{step}.act
  kRouter,      ///< block.{i}.{step}.router
  kStepOut,     ///< block.{i}.{step}.out
  kStepPresum,  ///< block.{i}.{step}.presum
  kStepSum,     ///< block.{i}.{step}.sum
  kBlockOut,    ///< block.{i}.out
  kFinal,       ///< final
  kLogits,      ///< logits
};

/// One observable point of one model.
struct Site {
  std::string name;  ///< as users write it, with "enc." or "dec." where the model has both stacks
  StackId stack = StackId::kEncoder;
  int block = -1;  ///< -1 for `embed`, `final` and `logits`
  int step = -1;   ///< index of the step in its block, or -1
  SiteKind kind = SiteKind::kEmbed;
  std::int64_t width = 0;       ///< elements a token; for `probs` 0, since a row holds one value a key
  std::int64_t heads = 0;       ///< heads lying side by side in a row, or 0
  bool cross = false;           ///< keys and values of a cross attention: rows are the encoder's tokens
  std::optional<int> hf_index;  ///< k of transformers' hidden_states[k]
  DType dtype = DType::kF32;    ///< kI32: ids, stored as they are whatever the request's save_dtype
};

/// Every site of a model, in the order of computation.
struct SiteTable {
  std::vector<Site> sites;
  std::array<int, 2> layers{};  ///< blocks of each stack; 0 where there is no such stack
  std::string no_logits;        ///< why there is no site "logits"; empty where there is one, or nothing is known
  [[nodiscard]] const Site* find(std::string_view name) const noexcept;
};

enum class Pooling : std::uint8_t { kNone, kCls, kMean, kMax, kMeanSqrt, kWeightedMean, kLast };
[[nodiscard]] std::optional<Pooling> pooling_from_name(std::string_view name) noexcept;
[[nodiscard]] std::string_view pooling_name(Pooling pooling) noexcept;

/// What to observe, as a user writes it. Empty `layers`, `sites` and `mix` together mean all layers.
struct TapRequest {
  std::string layers;             ///< "all", "0,4,-1", "0..6", "enc:0..2;dec:all"
  std::string sites;              ///< names and globs, "block.*.mlp.out,final"
  std::string positions = "all";  ///< "all", "first", "last", "0,1,-1", "sample:K"
  Pooling pool = Pooling::kNone;
  std::string mix;                 ///< "4=0.5,8=0.5" or "0..12"
  DType save_dtype = DType::kF32;  ///< kF32, kF16 or kBF16
  std::uint64_t seed = 0;          ///< of `sample:K`
};

/// What one stored value block of a sequence looks like.
enum class StoredUnit : std::uint8_t {
  kTokens,  ///< [tokens, width]
  kPooled,  ///< [1, width]
  kPicks,   ///< [picked positions, width]
  kProbs,   ///< [heads * queries, keys]
};

/// A site as it leaves the plan: possibly reduced, in the type it is saved in.
struct StoredSite {
  std::string name;
  StackId stack = StackId::kEncoder;
  StoredUnit unit = StoredUnit::kTokens;
  std::int64_t width = 0;
  std::int64_t heads = 0;
  bool cross = false;
  DType dtype = DType::kF32;
  std::optional<int> hf_index;
};

/// A request compiled against a model: decided before the run, so that nothing is computed or copied unasked.
class TapPlan {
 public:
  /// Errors (kUsage): an unknown site or layer (the valid ones are listed), contradicting options.
  [[nodiscard]] static Result<TapPlan> compile(const SiteTable& table, const TapRequest& request);

  /// What a run with this plan delivers, in the order of computation, `mix` last.
  [[nodiscard]] const std::vector<StoredSite>& stored() const noexcept { return stored_; }
  /// Positions of a row of `tokens` tokens that are kept, ascending; only where positions were picked.
  [[nodiscard]] std::vector<std::int32_t> picks(std::int64_t row, std::int64_t tokens) const;
  [[nodiscard]] bool has_picks() const noexcept { return has_picks_; }
  [[nodiscard]] Pooling pool() const noexcept { return pool_; }
  /// Rows and elements that a sequence contributes to stored site `index`; `tokens` by StackId.
  [[nodiscard]] std::int64_t stored_rows(std::size_t index, std::int64_t row,
                                         const std::array<std::int64_t, 2>& tokens) const;
  [[nodiscard]] std::int64_t stored_elements(std::size_t index, std::int64_t row,
                                             const std::array<std::int64_t, 2>& tokens) const;

  // For the engine and the reducer.
  /// The sites that the forward pass must show, by index.
  [[nodiscard]] const std::vector<Site>& observed() const noexcept { return observed_; }
  /// Index into observed() or -1.
  [[nodiscard]] int wants(StackId stack, int block, int step, SiteKind kind) const noexcept;
  /// True if a stack has to run at all (the decoder needs the encoder where it reads it; the engine knows that).
  [[nodiscard]] bool wants_stack(StackId stack) const noexcept;
  /// How far a stack has to run: `blocks` whole blocks or, where `steps` is set, all but the last of them whole and
  /// that one up to this many steps; `top` if the final norm is needed.
  struct Depth {
    int blocks = 0;
    int steps = 0;
    bool top = false;
  };
  [[nodiscard]] const Depth& depth(StackId stack) const noexcept { return depth_[static_cast<std::size_t>(stack)]; }
  /// Stored sites fed by observed site `index` as they are.
  [[nodiscard]] std::span<const int> feeds(int index) const noexcept { return feeds_[static_cast<std::size_t>(index)]; }
  /// Weight of observed site `index` in stored site `mix` of its stack, and that stored site.
  struct MixUse {
    int stored = -1;
    float weight = 0;
    bool first = false;
    bool last = false;
  };  ///< stored -1: not mixed
  [[nodiscard]] const MixUse& mix_use(int index) const noexcept { return mix_[static_cast<std::size_t>(index)]; }

 private:
  std::vector<Site> observed_;
  std::vector<StoredSite> stored_;
  std::vector<std::vector<int>> feeds_;
  std::vector<MixUse> mix_;
  std::array<Depth, 2> depth_{};
  std::array<bool, 2> wants_stack_{};
  std::array<int, 2> layers_{};
  std::array<int, 2> steps_{};           // most steps a block of the stack has
  std::array<std::vector<int>, 2> map_;  // (block, step, kind) -> observed
  bool has_picks_ = false;
  std::vector<std::int32_t> positions_;  // as written, negatives from the end
  std::int64_t sample_ = 0;
  std::uint64_t seed_ = 0;
  Pooling pool_ = Pooling::kNone;
};

/// A batch: sequences end to end, without padding. One ragged input for each stack that the model has.
struct Batch {
  struct Input {
    std::vector<std::int32_t> ids;
    std::vector<std::uint8_t> type_ids;       ///< empty: all 0
    std::vector<std::int64_t> offsets = {0};  ///< [sequences + 1]
    /// [sequences], or empty for none: so many tokens at the end of a sequence are computed as any other, but no token
    /// attends to them. Only for stacks whose tokens meet in plain attention alone, and without attention's `probs`.
    std::vector<std::int64_t> unattended;
  };
  std::array<Input, 2> inputs;      ///< by StackId
  std::vector<std::int64_t> rows;   ///< the row number of every sequence (decides `sample:K`)
  std::vector<std::uint64_t> tags;  ///< the caller's own mark of every sequence, handed back with its values
  [[nodiscard]] std::size_t sequences() const noexcept { return rows.size(); }
  [[nodiscard]] std::int64_t tokens(StackId stack) const noexcept {
    return inputs[static_cast<std::size_t>(stack)].offsets.back();
  }
};

/// Values of one sequence at one stored site: rows first_row ... of that sequence's block. Valid during the call only.
struct StateFrame {
  int site = 0;  ///< index into TapPlan::stored()
  std::uint64_t tag = 0;
  std::int64_t first_row = 0;
  RowsView rows;  ///< contiguous, in the type of the stored site
};

/// Where values go. Called from the thread that runs the batch; several workers may share one sink, which then must be
/// safe for that. An error ends the run.
class Sink {
 public:
  virtual ~Sink() = default;
  [[nodiscard]] virtual Status accept(const StateFrame& frame) = 0;
};

}  // namespace layerscope
