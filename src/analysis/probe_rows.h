// The rows a probe works on, a tile at a time: standardised float32 with a 1 behind each, so that an intercept is a
// weight like the others.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "analysis/vector_set.h"
#include "layerscope/error.h"

namespace layerscope {

/// x -> (x - mean) / scale, element by element, [width] each. As sklearn.preprocessing.StandardScaler: scale is the
/// standard deviation (of all, not all but one), 1 for an element without spread.
struct Standard {
  std::vector<double> mean, scale;
};

/// Sums over some rows, in float64.
struct RowSums {
  double count = 0;
  std::vector<double> sum, squares;  ///< [width]
  explicit RowSums(std::size_t width = 0) : sum(width), squares(width) {}
  void add(const RowSums& other) noexcept;
  [[nodiscard]] Standard standard() const;
  /// The sums that the same rows would have, standardised.
  [[nodiscard]] RowSums standardised(const Standard& by) const;
};

class ProbeRows {
 public:
  static constexpr std::int64_t kTile = 1024;

  /// `rows`: which ones, by index through the blocks, ascending. `vectors` and `backend` must outlive the object.
  ProbeRows(const Backend& backend, const VectorSet& vectors, std::vector<std::int64_t> rows);

  /// Applied to what fill() gives from now on; none at first.
  void set_standard(Standard standard) { standard_ = std::move(standard); }
  [[nodiscard]] const Standard& standard() const noexcept { return standard_; }

  [[nodiscard]] const Backend& backend() const noexcept { return backend_; }
  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  /// Width of what fill() gives.
  [[nodiscard]] std::int64_t columns() const noexcept { return width_ + 1; }
  [[nodiscard]] std::int64_t count() const noexcept { return static_cast<std::int64_t>(rows_.size()); }
  [[nodiscard]] std::size_t tiles() const noexcept { return (rows_.size() + kTile - 1) / kTile; }
  /// The rows of a tile.
  [[nodiscard]] std::span<const std::int64_t> tile(std::size_t index) const noexcept;
  /// [rows of the tile, columns()]
  void fill(std::size_t tile, float* out) const;

 private:
  const Backend& backend_;
  std::int64_t width_;
  std::vector<VectorBlock> blocks_;
  std::vector<std::int64_t> first_;  ///< of each block, and the end
  std::vector<std::int64_t> rows_;
  Standard standard_;
};

/// Tiles are shared out in chunks of neighbours, as many as `bytes_each` of a chunk's results allow, never depending on
/// threads: whoever adds results up chunk by chunk gets the same bits.
class TileChunks {
 public:
  TileChunks(std::size_t tiles, std::uint64_t bytes_each) noexcept;
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t first_tile(std::size_t chunk) const noexcept { return chunk * tiles_ / count_; }

  /// work(chunk, tile, worker) for all tiles of all chunks, a chunk's in their order by one worker; workers count from
  /// 0 to below workers(threads).
  [[nodiscard]] Status for_each(
      int threads, const Backend& backend,
      const std::function<Status(std::size_t chunk, std::size_t tile, std::size_t worker)>& work) const;
  [[nodiscard]] std::size_t workers(int threads) const noexcept;

 private:
  std::size_t tiles_, count_;
};

/// Sums of the rows of each part; `parts` names a row's, by index through the blocks. Errors: kRuntime for a row that
/// is not finite (its index).
[[nodiscard]] Result<std::vector<RowSums>> sum_parts(const ProbeRows& rows, std::span<const std::uint8_t> parts,
                                                     std::size_t part_count, int threads);

}  // namespace layerscope
