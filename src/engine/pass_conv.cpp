// Short convolutions within a pass: projections tile by tile, the convolution sequence by sequence.
#include <algorithm>
#include <cstring>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {

Status StackPass::short_conv(const Place& place, const ShortConv& conv) {
  const ShortConvWeights& weights = *place.weights->short_conv;
  const MutableRows bcx = workspace_.heads.rows(stream_type_, tokens_, 3 * spec_.width);
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    MutableRows in;
    LAYERSCOPE_TRY(read(place, first, count, in));
    LAYERSCOPE_TRY(backend_.linear(*weights.in, in.view(), slice(bcx, first, count), *workspace_.scratch));
  }
  const MutableRows mixed = workspace_.mixed.rows(operand_type_, tokens_, spec_.width);
  for (std::size_t s = 0; s + 1 < input_.offsets.size(); ++s) {
    const std::int64_t first = input_.offsets[s], count = input_.offsets[s + 1] - first;
    if (count > 0) convolve(place, conv, s, slice(bcx, first, count), slice(mixed, first, count));
  }
  for (std::int64_t first = 0; first < tokens_; first += tile_rows_) {
    const std::int64_t count = std::min(tile_rows_, tokens_ - first);
    const MutableRows out = workspace_.tile_out.rows(stream_type_, count, spec_.width);
    LAYERSCOPE_TRY(backend_.linear(*weights.out, slice(mixed, first, count).view(), out, *workspace_.scratch));
    LAYERSCOPE_TRY(join(place, first, out));
  }
  return {};
}

void StackPass::convolve(const Place& place, const ShortConv& conv, std::size_t sequence, const MutableRows& bcx,
                         const MutableRows& out) {
  const std::int64_t history = conv.taps - 1;
  const MutableRows bx = workspace_.history.rows(stream_type_, history + bcx.rows, spec_.width);
  KvCache::History* cached = id_ == StackId::kDecoder && !options_.caches.empty()
                                 ? &options_.caches[sequence]->at(place.block, place.step).history
                                 : nullptr;
  if (cached != nullptr && cached->rows == history) {
    backend_.convert(cached->view(stream_type_, spec_.width), slice(bx, 0, history));
  } else {
    std::memset(bx.data, 0, static_cast<std::size_t>(history * bx.stride) * dtype_size(stream_type_));
  }
  const auto third = [&](std::int64_t part) { return columns(bcx, part * spec_.width, spec_.width).view(); };
  backend_.hadamard(third(0), third(2), slice(bx, history, bcx.rows));
  const ShortConvWeights& weights = *place.weights->short_conv;
  const float* bias = weights.bias.empty() ? nullptr : weights.bias.data();
  backend_.short_convolution(weights.taps.data(), bias, conv.taps, bx.view(), third(1), out);
  if (cached != nullptr) cached->set(slice(bx.view(), bcx.rows, history));
}

}  // namespace layerscope
