// How a checkpoint's tensors fill a model's slots.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/tensor.h"
#include "spec/config.h"
#include "spec/spec.h"

namespace layerscope {

enum class SlotKind : std::uint8_t {
  kMatrix,    ///< [outputs, inputs] of a product
  kVector,    ///< a bias, a norm's parameter, a handful of numbers
  kTable,     ///< rows that are looked up
  kChannels,  ///< [channels, taps] of a convolution over each channel by itself, stored [channels, 1, taps]
  kTaps,      ///< [outputs, inputs * taps] of a convolution, stored [outputs, inputs, taps]
};

/// A place of the model that a tensor has to fill.
struct Slot {
  std::string name;  ///< "block.3.attn.q.weight", with "enc." or "dec." where the model has both stacks
  SlotKind kind = SlotKind::kMatrix;
  Shape shape;                        ///< as the mathematics sees it
  std::string source;                 ///< what "{i}" stands for in the tensor's name
  bool optional = false;              ///< may stay empty: the head's, and tables that are computed otherwise
  std::array<std::int64_t, 3> qkv{};  ///< rows of q, k and v for one key head, for slots of an attention's input
  std::int64_t key_heads = 0;
  std::int64_t taps = 0;                 ///< of kTaps
  std::int64_t expert = 0, experts = 0;  ///< of an expert's slots: its number, and how many there are
};

/// Every slot of a model, in the order of computation. Which slots there are follows from the spec alone.
[[nodiscard]] std::vector<Slot> slots_of(const ModelSpec& spec);

/// What the slots of a stack begin with: "enc." or "dec." where the model has both, else nothing.
[[nodiscard]] std::string stack_prefix(const ModelSpec& spec, StackId stack);

/// The part of a stored tensor that a slot takes: the outputs fall into equal groups, each group into parts, and the
/// slot takes the same part of every group.
struct Cut {
  enum class Groups : std::uint8_t {
    kOne,       ///< the whole tensor
    kKeyHeads,  ///< one group for each key head
    kFour,      ///< four
    kRows,      ///< as many as there are rows in the slot: part 0 is the even rows of two
  };
  int part = 0, parts = 1;  ///< the part-th of `parts`, of equal size unless `qkv`
  bool transposed = false;  ///< matrices are stored [inputs, outputs]
  Groups groups = Groups::kOne;
  bool qkv = false;     ///< parts are q, k and v (0, 1, 2), as wide as their heads
  bool expert = false;  ///< the tensor has one more dimension in front: the experts
  [[nodiscard]] std::string text() const;
};

/// One row of a family's name table. `slot` and `source` name modules: ".weight" and ".bias" follow as the spec
/// demands, and old spellings of norms (".gamma", ".beta") are taken too. "{i}" stands for the block's number in both,
/// "{e}" for an expert's; with "{h}" in the source, row h of the slot is a tensor by itself. A slot may be named with
/// its leaf
/// ("block.{i}.attn.q.bias") to get a row of its own. A source that ends in "!" names the tensor itself, no leaf
/// follows. Several rows of one slot are alternatives, the first that the checkpoint has wins. Sources are looked for
/// with the prefix and without (heads stand outside of it).
struct Bind {
  std::string_view slot;
  std::string_view source;
  Cut cut = {};
  bool shared = false;  ///< the source may fill other slots as well
};

/// A model family: how a config becomes a spec and how tensors are called. Pure data.
struct Family {
  std::span<const std::string_view> model_types;
  ModelSpec (*describe)(Config& config) = nullptr;
  std::span<const Bind> binds;
  std::span<const std::string_view> prefixes;  ///< of all sources, one of them in use: "", "model."
  std::span<const std::string_view> ignored;   ///< globs of tensors that hidden states do not need: heads, buffers
  std::span<const std::string_view> copies;    ///< "A=B": tensor A, where stored, must repeat tensor B byte for byte
  /// Where the family's heads over labels differ from describe_labels(); `labels` is that.
  void (*adapt_labels)(Config& config, const ModelSpec& spec, LabelHead& labels) = nullptr;
};

}  // namespace layerscope
