// Running a model, or one block of it, and keeping what it shows.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "diff/side.h"
#include "layerscope/edits.h"
#include "layerscope/model.h"

namespace layerscope {

/// A part of a stack that runs by itself.
struct LivePart {
  StackId stack = StackId::kEncoder;
  int block = 0;
  std::vector<const SideBlock*> inputs;  ///< by row: [tokens, width] what the block reads
  std::vector<const SideBlock*>
      encoded;  ///< by row: the encoder's final states, for a decoder that reads them; or empty
};

struct LiveOptions {
  const EditPlan* edits = nullptr;
  int threads = 1;
};

/// blocks[row][site] of rows that run from their tokens or, with `part`, from what a block reads. Values are those of
/// the model's own precision, held exactly. Errors: kUsage for sites that the model has not; those of Engine::run,
/// naming the model.
[[nodiscard]] Result<std::vector<std::vector<SideBlock>>> run_live(const Model& model, std::span<const SideRow> rows,
                                                                   std::span<const std::string> sites,
                                                                   const LiveOptions& options,
                                                                   const LivePart* part = nullptr);

/// Tokens of a row in a stack of the model.
[[nodiscard]] const Tokens& tokens_of(const Model& model, const SideRow& row, StackId stack);

}  // namespace layerscope
