#include "analysis/gram.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kTile = ProbeRows::kTile;

void transpose(const float* from, std::size_t columns, float* to) {
  constexpr std::size_t kSquare = 16;
  for (std::size_t row = 0; row < kTile; row += kSquare) {
    for (std::size_t column = 0; column < columns; column += kSquare) {
      const std::size_t end = std::min(column + kSquare, columns);
      for (std::size_t c = column; c < end; ++c) {
        for (std::size_t r = 0; r < kSquare; ++r) to[c * kTile + row + r] = from[(row + r) * columns + c];
      }
    }
  }
}

}  // namespace

RowTile::RowTile(const ProbeRows& rows)
    : rows_(rows),
      scratch_(rows.backend().make_scratch()),
      straight_(kTile * static_cast<std::size_t>(rows.columns())),
      transposed_(straight_.size()) {}

void RowTile::load(std::size_t tile) {
  const auto columns = static_cast<std::size_t>(rows_.columns());
  count_ = static_cast<std::int64_t>(rows_.tile(tile).size());
  rows_.fill(tile, straight_.data());
  std::fill(straight_.begin() + static_cast<std::ptrdiff_t>(count_) * rows_.columns(), straight_.end(), 0.0F);
  transpose(straight_.data(), columns, transposed_.data());
}

Status RowTile::multiply(const PackedLinear& by, const float* transposed, double* into) {
  const auto outputs = static_cast<std::size_t>(by.outputs), columns = static_cast<std::size_t>(rows_.columns());
  product_.resize(std::max(product_.size(), columns * outputs));
  LAYERSCOPE_TRY(rows_.backend().linear(
      by, {DType::kF32, reinterpret_cast<const std::byte*>(transposed), rows_.columns(), kTile, kTile},
      {DType::kF32, reinterpret_cast<std::byte*>(product_.data()), rows_.columns(), by.outputs, by.outputs},
      *scratch_));
  const float* const from = product_.data();
  for (std::size_t i = 0; i < columns * outputs; ++i) into[i] += static_cast<double>(from[i]);
  return {};
}

Status RowTile::add_product(const float* b, std::size_t width, double* into) {
  const auto outputs = static_cast<std::int64_t>(width);
  const MatrixView view{DType::kF32, reinterpret_cast<const std::byte*>(b), outputs, kTile, 1, outputs};
  LAYERSCOPE_ASSIGN(const std::unique_ptr<PackedLinear> packed,
                    rows_.backend().pack(std::span(&view, 1), {}, Activation::kNone));
  return multiply(*packed, transposed_.data(), into);
}

Status RowTile::pack() {
  const MatrixView view{DType::kF32,    reinterpret_cast<const std::byte*>(straight_.data()), rows_.columns(), kTile, 1,
                        rows_.columns()};
  LAYERSCOPE_ASSIGN(packed_, rows_.backend().pack(std::span(&view, 1), {}, Activation::kNone));
  return {};
}

Status RowTile::add_gram(const float* weights, double* into) { return add_gram_of(*this, weights, into); }

Status RowTile::add_gram_of(const RowTile& tile, const float* weights, double* into) {
  if (weights == nullptr) return multiply(*tile.packed_, tile.transposed_.data(), into);
  weighted_.assign(transposed_.size(), 0.0F);
  const auto count = static_cast<std::size_t>(tile.count_);
  for (std::size_t first = 0; first < weighted_.size(); first += kTile) {
    const float* const from = tile.transposed_.data() + first;
    float* const to = weighted_.data() + first;
    for (std::size_t i = 0; i < count; ++i) to[i] = from[i] * weights[i];
  }
  return multiply(*tile.packed_, weighted_.data(), into);
}

}  // namespace layerscope
