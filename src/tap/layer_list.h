// The little languages of --layers, --mix and --positions.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

/// Layers by stack, in Hugging Face's numbering (0 ... L), each once, ascending.
using LayerLists = std::array<std::vector<int>, 2>;

/// "all", "0,4,-1", "0..6", "enc:0..2,dec:all" (a prefix holds until the next one). `layers` = blocks by stack, 0 where
/// there is none; without a prefix every stack is meant. Errors (kUsage) list what is valid.
[[nodiscard]] Result<LayerLists> parse_layers(std::string_view text, const std::array<int, 2>& layers);

/// "4=0.5,8=0.5", or a list of layers for their plain mean. Layer and weight by stack.
using MixLists = std::array<std::vector<std::pair<int, float>>, 2>;
[[nodiscard]] Result<MixLists> parse_mix(std::string_view text, const std::array<int, 2>& layers);

/// "all", "first", "last", "0,1,-1", "sample:K".
struct PositionList {
  bool picked = false;             ///< false: all
  std::vector<std::int32_t> list;  ///< as written, negatives from the end
  std::int64_t sample = 0;
};
[[nodiscard]] Result<PositionList> parse_positions(std::string_view text);

/// An integer of the whole text, or an error that shows it.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text, std::string_view what);

/// Splits at commas (and semicolons), trimming blanks.
[[nodiscard]] std::vector<std::string_view> split_list(std::string_view text);

}  // namespace layerscope
