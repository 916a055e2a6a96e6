// A convolution over tokens: the rows that its taps see, side by side, are what a product reads.
#include <algorithm>
#include <numeric>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

std::vector<std::int32_t> StackPass::neighbours(std::int64_t shift) const {
  std::vector<std::int32_t> rows;
  rows.reserve(static_cast<std::size_t>(tokens_));
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    for (std::int64_t i = input_.offsets[s]; i < input_.offsets[s + 1]; ++i) {
      const bool inside = i + shift >= input_.offsets[s] && i + shift < input_.offsets[s + 1];
      rows.push_back(static_cast<std::int32_t>(inside ? i + shift : tokens_));
    }
  }
  return rows;
}

Status StackPass::token_conv(const Place& place, const TokenConv& conv) {
  // One row of zeros behind the tokens: what lies beyond a sequence's ends.
  const MutableRows rows = workspace_.history.rows(operand_type_, tokens_ + 1, spec_.width);
  std::fill_n(rows.row<std::byte>(0) + tokens_ * spec_.width * static_cast<std::int64_t>(dtype_size(operand_type_)),
              static_cast<std::size_t>(spec_.width) * dtype_size(operand_type_), std::byte{0});
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, std::min(tile_rows_, tokens_ - first), in));
    backend_.convert(in.view(), slice(rows, first, in.rows));
  }
  std::vector<std::vector<std::int32_t>> seen;
  for (std::int64_t tap = 0; tap < conv.taps; ++tap) seen.push_back(neighbours(tap - conv.taps / 2));

  const std::int64_t inputs = spec_.width / conv.groups;
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    const MutableRows unfolded = workspace_.unfolded.rows(operand_type_, count, inputs * conv.taps);
    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    for (std::int64_t group = 0; group < conv.groups; ++group) {
      for (std::int64_t tap = 0; tap < conv.taps; ++tap) {
        backend_.take(columns(rows, group * inputs, inputs).view(),
                      std::span(seen[static_cast<std::size_t>(tap)])
                          .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
                      columns(unfolded, tap * inputs, inputs));
      }
      LAYERSCOPE_TRY(backend_.linear(*place.weights->token_conv->groups[static_cast<std::size_t>(group)],
                                     unfolded.view(), columns(out, group * inputs, inputs), *workspace_.scratch));
    }
    LAYERSCOPE_TRY(join(place, first, out));
  }
  return {};
}

}  // namespace layerscope
