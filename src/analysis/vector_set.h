// Vectors as they are stored, and as numbers.
#pragma once

#include <cstdint>
#include <span>

#include "backend/backend.h"
#include "base/vector_block.h"

namespace layerscope {

/// What the elements of a row stand for.
enum class VectorCode : std::uint8_t {
  kNumbers,  ///< themselves
  kBits,     ///< eight elements a byte, the first one highest: 0 or 1; int8 holds the byte less 128 (numpy.packbits)
  kSigns,    ///< the same bits as -1 or 1: their dot product is width - 2 * the Hamming distance
};

/// Rows to be compared with, borrowed.
struct VectorSet {
  std::span<const VectorBlock> blocks;
  std::int64_t width = 0;  ///< elements of a vector; bits beyond it in a row's last byte do not count
  VectorCode code = VectorCode::kNumbers;
  [[nodiscard]] std::int64_t rows() const noexcept {
    std::int64_t sum = 0;
    for (const VectorBlock& block : blocks) sum += block.values.rows;
    return sum;
  }
};

/// Rows as float32, exactly: [rows, width]. `backend` widens float16 and bfloat16.
void decode_rows(const Backend& backend, const RowsView& rows, VectorCode code, std::int64_t width, float* out);

}  // namespace layerscope
