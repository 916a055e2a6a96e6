// What a reference file of a tiny model says of one part of it, as a search for causes is given it.
#pragma once

#include <string>

#include "diff/cause.h"
#include "support/golden.h"

namespace layerscope::testing {

/// The names of the sites before and behind a part, as the other side's dump has them.
inline std::string site_before(const Model& model, StackId stack, int block) {
  const std::string prefix = !model.info().two_stacks ? "" : stack == StackId::kEncoder ? "enc." : "dec.";
  return prefix + (block == 0 ? "embed" : "block." + std::to_string(block - 1) + ".out");
}
inline std::string site_behind(const Model& model, StackId stack, int block) {
  const int blocks = model.sites().layers[static_cast<std::size_t>(stack)];
  const std::string prefix = !model.info().two_stacks ? "" : stack == StackId::kEncoder ? "enc." : "dec.";
  return block < 0 ? prefix + "embed" : block == blocks ? prefix + "final" : site_before(model, stack, block + 1);
}

/// `block` as BlockEvidence counts; the last block through the stack's end where `through_end` says so. No rows where
/// the file lacks one of the sites.
inline BlockEvidence evidence_of(const Model& model, const Reference& reference, StackId stack, int block,
                                 bool through_end = false) {
  BlockEvidence evidence{.stack = stack, .block = block, .through_end = through_end};
  const std::string before = site_before(model, stack, block),
                    behind = site_behind(model, stack, through_end ? block + 1 : block);
  const bool two = model.info().two_stacks;
  for (int row = 0; row < reference.rows(); ++row) {
    const std::string at = "r" + std::to_string(row) + ".";
    if (!reference.has(at + behind) || (block >= 0 && !reference.has(at + before))) continue;
    const TextRow text = text_row(reference, row, two);
    BlockEvidence::Row part{.ids = two && stack == StackId::kDecoder ? *text.decoder_ids : *text.ids,
                            .type_ids = text.type_ids.value_or(std::vector<std::uint8_t>()),
                            .output = reference.floats(at + behind),
                            .number = row};
    if (block >= 0) part.input = reference.floats(at + before);
    if (two && stack == StackId::kDecoder && block >= 0) part.encoder = reference.floats(at + "enc.final");
    evidence.rows.push_back(std::move(part));
  }
  return evidence;
}

}  // namespace layerscope::testing
