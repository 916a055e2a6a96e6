#include "analysis/vector_set.h"

namespace layerscope {
namespace {

void decode_bits(const RowsView& rows, float zero, std::int64_t width, float* out) {
  const unsigned flip = rows.dtype == DType::kI8 ? 0x80U : 0U;
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const auto* const bytes = rows.row<std::uint8_t>(row);
    for (std::int64_t i = 0; i < width; ++i) {
      const unsigned byte = bytes[i / 8] ^ flip;
      *out++ = (byte >> (7 - i % 8) & 1U) != 0 ? 1.0F : zero;
    }
  }
}

template <class Integer>
void widen(const RowsView& rows, float* out) {
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    const auto* const values = rows.row<Integer>(row);
    for (std::int64_t i = 0; i < rows.width; ++i) *out++ = static_cast<float>(values[i]);
  }
}

}  // namespace

void decode_rows(const Backend& backend, const RowsView& rows, VectorCode code, std::int64_t width, float* out) {
  if (code != VectorCode::kNumbers) {
    decode_bits(rows, code == VectorCode::kBits ? 0.0F : -1.0F, width, out);
  } else if (rows.dtype == DType::kI8) {
    widen<std::int8_t>(rows, out);
  } else if (rows.dtype == DType::kU8) {
    widen<std::uint8_t>(rows, out);
  } else {
    backend.convert(rows, {DType::kF32, reinterpret_cast<std::byte*>(out), rows.rows, rows.width, rows.width});
  }
}

}  // namespace layerscope
