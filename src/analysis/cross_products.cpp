#include "analysis/cross_products.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace layerscope {
namespace {

constexpr std::int64_t kRowsTogether = 128;  // panels of so many rows stay in the first cache

/// Panels [columns / tile][rows, tile] of `columns` columns from `first` on, zeros beyond them.
void pack(const double* from, std::int64_t width, std::int64_t first, std::int64_t columns, std::int64_t rows,
          std::int64_t tile, double* out) {
  for (std::int64_t begin = 0; begin < columns; begin += tile) {
    const std::int64_t count = std::min(tile, columns - begin);
    for (std::int64_t row = 0; row < rows; ++row, out += tile) {
      std::copy_n(from + row * width + first + begin, count, out);
      std::fill(out + count, out + tile, 0.0);
    }
  }
}

/// A tile of `out` that stays in registers while the rows go by. Lanes are different elements of `out`, so that how
/// wide a vector is changes no bit.
template <int kRows, int kLanes, int kVectors>
[[gnu::always_inline]] inline void add_tile(const double* x, const double* y, std::int64_t rows, double* out,
                                            std::int64_t stride) {
  typedef double Vector [[gnu::vector_size(kLanes * 8)]];
  Vector sums[kRows][kVectors];
  for (int a = 0; a < kRows; ++a) {
    for (int v = 0; v < kVectors; ++v) std::memcpy(&sums[a][v], out + a * stride + v * kLanes, sizeof(Vector));
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    Vector right[kVectors];
    for (int v = 0; v < kVectors; ++v) std::memcpy(&right[v], y + v * kLanes, sizeof(Vector));
    for (int a = 0; a < kRows; ++a) {
      for (int v = 0; v < kVectors; ++v) sums[a][v] += right[v] * x[a];
    }
    x += kRows;
    y += kVectors * kLanes;
  }
  for (int a = 0; a < kRows; ++a) {
    for (int v = 0; v < kVectors; ++v) std::memcpy(out + a * stride + v * kLanes, &sums[a][v], sizeof(Vector));
  }
}

using TileFunction = void (*)(const double* x, const double* y, std::int64_t rows, double* out, std::int64_t stride);

/// A tile's product and its size, rows of x by columns of y.
struct Tile {
  TileFunction add = nullptr;
  std::int64_t rows = 0, columns = 0;
};
constexpr std::int64_t kMostRows = 8, kMostColumns = 16;

void add_plain(const double* x, const double* y, std::int64_t rows, double* out, std::int64_t stride) {
  add_tile<4, 2, 2>(x, y, rows, out, stride);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void add_avx2(const double* x, const double* y, std::int64_t rows, double* out,
                                      std::int64_t stride) {
  add_tile<4, 4, 2>(x, y, rows, out, stride);
}
[[gnu::target("avx512f")]] void add_avx512(const double* x, const double* y, std::int64_t rows, double* out,
                                           std::int64_t stride) {
  add_tile<8, 8, 2>(x, y, rows, out, stride);
}
#endif

Tile best_tile() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return {add_avx512, 8, 16};
  if (__builtin_cpu_supports("avx2")) return {add_avx2, 4, 8};
#endif
  return {add_plain, 4, 4};
}

/// A tile that reaches beyond the edge of `out`: only what lies in it is read and written.
void add_edge(const Tile& tile, const double* x, const double* y, std::int64_t rows, double* out, std::int64_t stride,
              std::int64_t height, std::int64_t width) {
  double part[kMostRows * kMostColumns] = {};
  for (std::int64_t a = 0; a < height; ++a) std::copy_n(out + a * stride, width, part + a * tile.columns);
  tile.add(x, y, rows, part, tile.columns);
  for (std::int64_t a = 0; a < height; ++a) std::copy_n(part + a * tile.columns, width, out + a * stride);
}

}  // namespace

void add_cross_products(const double* x, std::int64_t x_width, const double* y, std::int64_t y_width, std::int64_t rows,
                        double* out) {
  static const Tile tile = best_tile();
  const std::int64_t panels = (x_width + tile.rows - 1) / tile.rows;
  const std::int64_t held = std::min(rows, kRowsTogether);
  std::vector<double> left(static_cast<std::size_t>(panels * tile.rows * held));
  std::vector<double> right(static_cast<std::size_t>(tile.columns * held));
  for (std::int64_t first = 0; first < rows; first += kRowsTogether) {
    const std::int64_t count = std::min(kRowsTogether, rows - first);
    pack(x + first * x_width, x_width, 0, x_width, count, tile.rows, left.data());
    for (std::int64_t b = 0; b < y_width; b += tile.columns) {
      const std::int64_t width = std::min(tile.columns, y_width - b);
      pack(y + first * y_width, y_width, b, width, count, tile.columns, right.data());
      for (std::int64_t a = 0; a < x_width; a += tile.rows) {
        const std::int64_t height = std::min(tile.rows, x_width - a);
        const double* const panel = left.data() + a * count;
        double* const into = out + a * y_width + b;
        if (height == tile.rows && width == tile.columns)
          tile.add(panel, right.data(), count, into, y_width);
        else
          add_edge(tile, panel, right.data(), count, into, y_width, height, width);
      }
    }
  }
}

void cross_products_reference(const double* x, std::int64_t x_width, const double* y, std::int64_t y_width,
                              std::int64_t rows, double* out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t a = 0; a < x_width; ++a) {
      for (std::int64_t b = 0; b < y_width; ++b) out[a * y_width + b] += x[row * x_width + a] * y[row * y_width + b];
    }
  }
}

}  // namespace layerscope
