// One batch on its way through one stack. Internal to the engine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/positions.h"

namespace layerscope {

/// Rows that one product takes at a time: activations of a tile stay in cache between the products that use them.
inline constexpr std::int64_t kTileRows = 256;

class StackPass {
 public:
  StackPass(const Backend& backend, const ModelSpec& spec, const Stack& stack, const StackWeights& weights, StackId id,
            const Batch& batch, const TapPlan& plan, Observer& observer, const RunOptions& options,
            Workspace& workspace);

  /// Runs as far as `depth` says. `memory`: the encoder's final states as operands, for steps that read them.
  [[nodiscard]] Status run(const TapPlan::Depth& depth, const MutableRows* memory);
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
  Status attend(const Place& place, const Attention& attention, const MutableRows& q, const MutableRows& k,
                const MutableRows& v, const MutableRows& z);
  Status attend_sequence(const Place& place, AttentionArguments& arguments, std::size_t sequence, const MutableRows& z,
                         int probs);
  Status mlp(const Place& place, const Mlp& mlp);
  Status top();

  /// What a product reads for rows first ...: pre(x) or x, as operands.
  Status read(const Place& place, std::int64_t first, std::int64_t count, MutableRows& in);
  /// x = after(x + post(t)) for rows first ...
  Status join(const Place& place, std::int64_t first, const MutableRows& t);
  void rotate(const Rope& rope, const MutableRows& rows, std::int64_t heads);
  const DistanceTable& distances(const BucketBias& bias, std::int64_t heads, std::int64_t span);

  Status show(const Place& place, SiteKind kind, std::int64_t first, const RowsView& rows);
  Status show(int observed, std::int64_t first, const RowsView& rows);
  /// kRuntime if a value is NaN or infinite; `offsets` say which row a token belongs to.
  [[nodiscard]] Status check(const RowsView& rows, std::int64_t first, const std::string& site,
                             const std::vector<std::int64_t>& offsets) const;
  [[nodiscard]] std::string qualified(const std::string& site) const;
  [[nodiscard]] std::string site_name(const Place& place, std::string_view point) const;
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
  std::int64_t tokens_ = 0;
  std::vector<std::int32_t> positions_;  // of every token in its sequence
  std::int64_t longest_ = 0;             // sequence, with what its cache holds
  MutableRows x_;
  std::optional<DistanceTable> distances_;
};

}  // namespace layerscope
