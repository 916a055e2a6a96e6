// One part of a stack as a value that can be changed: what the block is, its weights, how its operations are done, and
// which tokens it is given.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "spec/bind.h"
#include "spec/spec.h"

namespace layerscope {

/// A number format that values pass through.
enum class Rounding : std::uint8_t { kNone, kBF16, kF16 };
[[nodiscard]] float rounded(Rounding rounding, float value) noexcept;
/// "bf16", "f16".
[[nodiscard]] std::string rounding_name(Rounding rounding);

/// One slot's elements, row by row. Shared until changed.
struct SlotValues {
  std::int64_t outputs = 0, inputs = 0;
  std::vector<float> values;  ///< [outputs, inputs]
};
using WeightMap = std::map<std::string, std::shared_ptr<const SlotValues>, std::less<>>;

/// How a product of the block is done otherwise.
struct ProductChange {
  Rounding input = Rounding::kNone, output = Rounding::kNone;
  std::int64_t first = 0, count = 0;  ///< the outputs it is about; 0: all
};

/// How a norm is computed otherwise.
struct NormChange {
  bool unbiased = false;  ///< the variance is divided by n - 1
  bool outside = false;   ///< epsilon is added to the root rather than under it
  bool twice = false;     ///< the norm is done twice
  Rounding input = Rounding::kNone, output = Rounding::kNone;
};

/// How an attention is done otherwise.
struct AttentionChange {
  std::int64_t left = 0, right = 0;  ///< added to the reach
  bool full = false;                 ///< every token sees every token
  bool blind_sees_all = false;       ///< a query that sees no key takes the mean over all rather than nothing
  bool blind_sees_itself = false;    ///< or itself
  bool open_padding = false;         ///< padding that takes part is seen from everywhere
  bool cyclic_heads = false;         ///< query head h reads key head h % kv_heads
  bool heads_outside = false;        ///< [heads, tokens, d_v] is read as [tokens, heads * d_v]
  bool bias_scaled = false;          ///< the distances' term is scaled as the products are
  bool bias_mirrored = false;        ///< the distances' term is that of the opposite distance
  Rounding operands = Rounding::kNone, values = Rounding::kNone;  ///< queries and keys; values
  Rounding scores = Rounding::kNone, probabilities = Rounding::kNone, output = Rounding::kNone;
  friend bool operator==(const AttentionChange&, const AttentionChange&) = default;
};

/// Which of a row's padding takes part, and which tokens no query sees.
struct RowExtent {
  std::int64_t left = 0, right = 0;                  ///< padding tokens that are computed along
  std::int64_t encoder_left = 0, encoder_right = 0;  ///< of the encoder's padding, seen as its tokens are
  std::int64_t hidden_first = 0, hidden_last = 0;    ///< keys at the row's ends (padding included) that are masked
};

struct BlockSetup {
  Stack stack;                                                     ///< one block or none; slots are those of block 0
  WeightMap weights;                                               ///< by slot of `stack`
  std::map<std::string, ProductChange, std::less<>> products;      ///< by module: "attn.in", "mlp.down", ...
  std::map<std::string, NormChange, std::less<>> norms;            ///< by module: "attn.pre", "top", "embed.norm"
  std::map<std::string, AttentionChange, std::less<>> attentions;  ///< by step
  Rounding stream = Rounding::kNone;                               ///< of the stream behind every step
  Rounding input = Rounding::kNone;                                ///< of the stream before the first
  Rounding gates = Rounding::kNone;                                ///< of activated gates, before they multiply
  std::vector<RowExtent> extents;                                  ///< by row
  std::vector<std::vector<std::uint8_t>> type_ids;                 ///< by row, or empty for all 0

  [[nodiscard]] Block& block() { return stack.blocks.front(); }
  [[nodiscard]] Step& step(std::size_t index) { return stack.blocks.front().steps[index]; }
  /// The elements of a slot, for changing; nothing where the part has no such slot.
  [[nodiscard]] SlotValues* change(const std::string& slot);
};

/// One thing that an implementation may do otherwise.
struct Variant {
  std::string site;  ///< within the part: "attn.probs", "embed", "final"
  std::string kind;  ///< as Cause has it
  std::string says;  ///< what the other side does: "gelu tanh for erf"
  std::function<void(BlockSetup&)> apply;
  bool alone = false;        ///< does not go together with others
  bool approximate = false;  ///< rounds somewhere: what it predicts is near the other side's values, not equal to them
};

/// A number that an implementation may have otherwise.
struct ScalarVariant {
  std::string site, kind;
  std::string name;  ///< "attention's scale"
  double ours = 0;
  std::vector<double> tried;  ///< values that are likely
  std::function<void(BlockSetup&, double)> apply;
  bool refine = true;  ///< any other value is looked for too, where one of `tried` comes nearer
};

struct Hypotheses {
  std::vector<Variant> variants;
  std::vector<ScalarVariant> scalars;
};

}  // namespace layerscope
