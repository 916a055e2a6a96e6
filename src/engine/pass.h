// One batch on its way through one stack. Internal to the engine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/apply_edits.h"
#include "engine/engine.h"
#include "engine/head.h"
#include "engine/positions.h"
#include "engine/relative_positions.h"

namespace layerscope {

class StackPass {
 public:
  StackPass(const Backend& backend, const ModelSpec& spec, const Stack& stack, const StackWeights& weights, StackId id,
            const Batch& batch, const TapPlan& plan, Observer& observer, const RunOptions& options,
            Workspace& workspace);

  /// Runs as far as `depth` says. `memory`: the encoder's final states as operands, for steps that read them.
  [[nodiscard]] Status run(const TapPlan::Depth& depth, const MutableRows* memory);
  /// Scores of the tokens that the plan keeps, from the stream that run() left, in tiles.
  [[nodiscard]] Status logits(const Head& head, const PackedHead& weights);
  /// The stream at the end of the stack, after run().
  [[nodiscard]] const MutableRows& stream() const noexcept { return x_; }

 private:
  struct Place {
    int block = 0, step = 0;
    const Step* spec = nullptr;
    const StepWeights* weights = nullptr;
  };

  Status embed();
  Status step(const Place& place, const MutableRows* memory);
  Status attention(const Place& place, const Attention& attention, const MutableRows* memory);
  /// q, k and v of all tokens, before norms and rotation.
  Status project(const Place& place, const Attention& attention, const MutableRows* memory, MutableRows& q,
                 MutableRows& k, MutableRows& v);
  Status project_latent(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
                        const MutableRows& v);
  /// Norms, rotation and limits of queries and keys, in the model's order.
  void turn(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
            const MutableRows& v);
  Status attend(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
                const MutableRows& v, const MutableRows& z);
  /// The positions' keys and queries of a step, in position_terms_.
  Status relate(const Place& place, const Attention& attention, const Disentangled& relative);
  /// The normed rows of the table of relative positions that the batch's distances take, in relative_.
  void look_up_relative(const Disentangled& relative);
  Status show_probabilities(const AttentionArguments& arguments, std::size_t sequence, int probs);
  Status mlp(const Place& place, const Mlp& mlp);
  /// down(activation(in(x))) for one tile.
  Status mlp_tile(const Place& place, const Mlp& mlp, const MlpWeights& weights, const MutableRows& in,
                  std::int64_t first, const MutableRows& out);
  Status experts(const Place& place, const Experts& experts);
  /// One expert's MLP on the rows that chose it.
  Status expert(const MlpWeights& weights, const Experts& experts, std::int64_t hidden, const MutableRows& in,
                const MutableRows& out);
  /// Adds what the expert of all tokens makes of a tile.
  Status shared_expert(const Place& place, const Experts& experts, const MutableRows& in, const MutableRows& out);
  Status short_conv(const Place& place, const ShortConv& conv);
  /// One sequence's products b * x (with what the cache holds of them), convolved and gated.
  void convolve(const Place& place, const ShortConv& conv, std::size_t sequence, const MutableRows& bcx,
                const MutableRows& out);
  Status token_conv(const Place& place, const TokenConv& conv);
  /// For every token the one `shift` behind it in its sequence; tokens_ where there is none.
  [[nodiscard]] std::vector<std::int32_t> neighbours(std::int64_t shift) const;
  Status top();

  /// The token, type and position rows for tokens first ..., of the tables' width.
  void look_up(std::int64_t first, const MutableRows& out, bool tokens, bool others);
  void add_positions(std::int64_t first, const MutableRows& out);
  /// The row of the position table for every token.
  [[nodiscard]] std::vector<std::int32_t> position_rows(const PositionTable& table) const;
  /// By sequence, what its token rows are scaled by; 0 for mask tokens.
  [[nodiscard]] std::vector<float> rescaled(const MaskRescale& rescale) const;
  /// What a product reads for rows first ...: pre(x) or x, as operands.
  Status read(const Place& place, std::int64_t first, std::int64_t count, MutableRows& in);
  /// x = after(x + post(t)) for rows first ...
  Status join(const Place& place, std::int64_t first, const MutableRows& t);
  void rotate(const Rope& rope, const MutableRows& rows, std::int64_t heads, std::int64_t first);
  void norm_heads(const HeadNorm& spec, const NormWeights& weights, const MutableRows& rows, std::int64_t heads) const;
  /// The term of the scores that depends on distance, or null.
  const DistanceBias* distances(const Place& place, const Attention& attention);

  /// Changes the values of a site as the caller asks, where it does; before they are shown or read.
  Status edit(int block, int step, SiteKind kind, std::int64_t first, const MutableRows& rows);
  Status edit(const Place& place, SiteKind kind, std::int64_t first, const MutableRows& rows);
  [[nodiscard]] bool edits(int block, int step, SiteKind kind) const noexcept;
  /// kInput where a row and the vectors of an edit do not fit.
  [[nodiscard]] Status check_edits() const;
  /// What negative positions of a sequence count from; `cross`: those of the encoder's tokens.
  [[nodiscard]] std::int64_t edited_length(std::size_t sequence, bool cross) const noexcept;
  Status show(const Place& place, SiteKind kind, std::int64_t first, const RowsView& rows);
  Status show(int observed, std::int64_t first, const RowsView& rows);
  /// kRuntime if a value is NaN or infinite; `offsets` say which row a token belongs to.
  [[nodiscard]] Status check(const RowsView& rows, std::int64_t first, const std::string& site,
                             const std::vector<std::int64_t>& offsets) const;
  [[nodiscard]] std::string qualified(const std::string& site) const;
  [[nodiscard]] std::string site_name(const Place& place, std::string_view point) const;
  /// Numbers of the tokens whose positions the plan keeps.
  [[nodiscard]] std::vector<std::int32_t> kept_tokens() const;
  [[nodiscard]] std::int64_t past(std::size_t sequence) const noexcept;

  const Backend& backend_;
  const ModelSpec& spec_;
  const Stack& stack_;
  const StackWeights& weights_;
  StackId id_;
  const Batch& batch_;
  const Batch::Input& input_;
  const TapPlan& plan_;
  Observer& observer_;
  const RunOptions& options_;
  Workspace& workspace_;
  DType stream_type_, operand_type_;
  std::int64_t tile_rows_;  // rows that one product takes at a time
  std::int64_t tokens_ = 0;
  std::vector<std::int32_t> positions_;  // of every token in its sequence
  std::int64_t longest_ = 0;             // sequence, with what its cache holds
  MutableRows x_;
  MutableRows block_input_;  // what the block read, where a later step of it reads that too
  std::vector<std::int32_t> position_rows_;
  std::vector<float> token_factors_;
  std::optional<DistanceTable> distances_;
  DistanceBias distance_bias_;
  std::optional<RelativeRows> relative_rows_;
  MutableRows relative_;
  PositionTerms position_terms_;
};

}  // namespace layerscope
