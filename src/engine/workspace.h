// Memory that one worker reuses from batch to batch.
#pragma once

#include <cstdint>
#include <memory>

#include "backend/backend.h"
#include "engine/positions.h"

namespace layerscope {

/// Rows that one product takes at a time: activations of a tile stay in cache between the products that use them.
inline constexpr std::int64_t kTileRows = 256;

/// A growing, aligned block of memory shaped as rows.
class RowBuffer {
 public:
  /// Rows of `width` elements end to end; the contents of an earlier call are lost.
  [[nodiscard]] MutableRows rows(DType dtype, std::int64_t count, std::int64_t width);

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept;
  };
  std::unique_ptr<std::byte[], Free> memory_;
  std::size_t capacity_ = 0;
};

/// What a forward pass needs beside the weights; one per worker.
struct Workspace {
  explicit Workspace(const Backend& backend) : scratch(backend.make_scratch()) {}
  std::unique_ptr<Scratch> scratch;
  RotationCache rotations;
  RowBuffer stream;       ///< [tokens, width] the residual stream
  RowBuffer block_input;  ///< [tokens, width] the stream at the start of a block of parallel steps
  RowBuffer memory;       ///< [encoder tokens, width] the encoder's final states, as operands
  RowBuffer heads;        ///< [tokens, q + k + v]
  RowBuffer keys;         ///< [encoder tokens, k + v] of a cross attention
  RowBuffer mixed;        ///< [tokens, heads * d_v] what attention returns, as operands
  RowBuffer tile_in;      ///< [tile, width] what a product reads
  RowBuffer tile_wide;    ///< [tile, hidden]
  RowBuffer tile_act;     ///< [tile, hidden]
  RowBuffer tile_out;     ///< [tile, width]
  RowBuffer shown;        ///< [tile, any] values converted for an observer
  RowBuffer tables;       ///< [tile, table width] embedding rows on their way to the stream
  RowBuffer final;        ///< [tokens, final width] the end of a stack of another width
  RowBuffer kept;         ///< [tile, final width] final states on their way to scores
  RowBuffer scores;       ///< [tile, vocabulary]
  RowBuffer router, expert_in, expert_out, ranks, normed_ranks, unpacked, history;  ///< of the mixers
  RowBuffer relative;                         ///< [relative positions, width] as operands
  RowBuffer position_keys, position_queries;  ///< [relative positions, heads * d_qk]
  RowBuffer unfolded;                         ///< [tile, taps * inputs] what a convolution over tokens reads
};

/// Rows first ... first + count of a block.
[[nodiscard]] MutableRows slice(const MutableRows& rows, std::int64_t first, std::int64_t count) noexcept;
[[nodiscard]] RowsView slice(const RowsView& rows, std::int64_t first, std::int64_t count) noexcept;
/// Columns first ... first + width.
[[nodiscard]] MutableRows columns(const MutableRows& rows, std::int64_t first, std::int64_t width) noexcept;

}  // namespace layerscope
