// Many lines that differ in a block's number only, as one.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace layerscope::cli {

/// A line about one block, or about none.
struct BlockLine {
  std::vector<std::string> fields;  ///< names that may hold the block's number as one dotted part, and other columns
};

struct FoldedLine {
  std::vector<std::string> fields;  ///< with {i} for the number
  std::vector<int> blocks;          ///< ascending; empty for a line about no block
};

/// The block that a dotted name speaks of ("enc.block.3.mlp.out": 3), or -1.
[[nodiscard]] int block_of(std::string_view name);

/// Lines whose first field names a block are folded where all fields agree but for its number, which {i} replaces: in
/// the first field behind "block", in the others where it first stands as a part of its own.
[[nodiscard]] std::vector<FoldedLine> fold(std::span<const BlockLine> lines);

/// "0..5", "0, 2, 4".
[[nodiscard]] std::string range_text(std::span<const int> numbers);

}  // namespace layerscope::cli
