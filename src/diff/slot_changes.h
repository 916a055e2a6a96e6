// What can have happened to a tensor on its way into its place.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "diff/block_lab.h"
#include "diff/block_setup.h"

namespace layerscope {

// All leave a setup that lacks the slot as it is.

/// [outputs, inputs] of a square matrix becomes its transpose.
void transpose(BlockSetup& setup, const std::string& slot);
/// The memory of the transpose is taken for the matrix itself; reread_back is the reverse.
void reread(BlockSetup& setup, const std::string& slot);
void reread_back(BlockSetup& setup, const std::string& slot);
void fill(BlockSetup& setup, const std::string& slot, float value);
void multiply(BlockSetup& setup, const std::string& slot, double factor);
void exchange(BlockSetup& setup, const std::string& one, const std::string& two);
void copy(BlockSetup& setup, const std::string& from, const std::string& to);
/// Rows of the modules' tensors end to end come in another order: row r becomes row source(r).
void reorder(BlockSetup& setup, const std::vector<std::string>& modules, const std::string& leaf,
             const std::function<std::int64_t(std::int64_t)>& source);

/// A slot without its block, as people read it: "attn.q".
[[nodiscard]] std::string slot_text(const std::string& slot);
/// Other blocks of the stack whose weights may have been taken, the nearest first; a bounded number.
[[nodiscard]] std::vector<int> neighbours(const BlockLab& lab);

}  // namespace layerscope
