// A model as a chain of parts, each of which can run by itself from what another engine says it read.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "diff/live_run.h"

namespace layerscope {

/// One part: a block, the end of a stack (block = as many as it has), or the head over the vocabulary.
struct ChainLink {
  StackId stack = StackId::kEncoder;
  int block = 0;
  bool head = false;                 ///< final states to logits
  bool experts = false;              ///< a router chooses: rounding may choose otherwise
  bool through_end = false;          ///< the last block, whose outputs stand behind the stack's end
  std::string input;                 ///< the site it reads
  std::string encoded;               ///< the site of the encoder's final states, where it reads them; else empty
  std::vector<std::string> outputs;  ///< sites that it shows
};

/// The parts whose input is among `known` and whose outputs are among `wanted` too, in the order of computation.
[[nodiscard]] std::vector<ChainLink> chain_of(const Model& model, std::span<const std::string> known,
                                              std::span<const std::string> wanted);

/// blocks[row][output] of one part. `states[row]` holds the values of `names`, among them what the part reads.
[[nodiscard]] Result<std::vector<std::vector<SideBlock>>> run_link(const Model& model, const ChainLink& link,
                                                                   std::span<const SideRow> rows,
                                                                   std::span<const std::vector<SideBlock>> states,
                                                                   std::span<const std::string> names,
                                                                   const LiveOptions& options);

/// By row and token: 1 where the part's outcome jumps when its input changes by as little as rounding does, as it does
/// where two experts are about equally good. All 0 for parts without experts.
[[nodiscard]] Result<std::vector<std::vector<std::uint8_t>>> undecided_tokens(
    const Model& model, const ChainLink& link, std::span<const SideRow> rows,
    std::span<const std::vector<SideBlock>> states, std::span<const std::string> names, const LiveOptions& options);

/// Index of a site among names; it must be there.
[[nodiscard]] std::size_t index_of(std::span<const std::string> names, std::string_view site);

}  // namespace layerscope
