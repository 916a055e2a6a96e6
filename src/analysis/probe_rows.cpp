#include "analysis/probe_rows.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <string>

#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostChunks = 32;
constexpr std::uint64_t kMostBytes = 128U << 20;  // of all chunks' results together

}  // namespace

void RowSums::add(const RowSums& other) noexcept {
  count += other.count;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    sum[i] += other.sum[i];
    squares[i] += other.squares[i];
  }
}

Standard RowSums::standard() const {
  Standard out{std::vector<double>(sum.size()), std::vector<double>(sum.size(), 1.0)};
  if (count == 0) return out;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    out.mean[i] = sum[i] / count;
    const double variance = squares[i] / count - out.mean[i] * out.mean[i];
    // Below this, what is left of a variance is rounding: the element is constant.
    if (variance > 1e-14 * out.mean[i] * out.mean[i]) out.scale[i] = std::sqrt(variance);
  }
  return out;
}

RowSums RowSums::standardised(const Standard& by) const {
  RowSums out(sum.size());
  out.count = count;
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double mean = by.mean[i], scale = by.scale[i];
    out.sum[i] = (sum[i] - count * mean) / scale;
    out.squares[i] = (squares[i] - 2 * mean * sum[i] + count * mean * mean) / (scale * scale);
  }
  return out;
}

ProbeRows::ProbeRows(const Backend& backend, const VectorSet& vectors, std::vector<std::int64_t> rows)
    : backend_(backend),
      width_(vectors.width),
      blocks_(vectors.blocks.begin(), vectors.blocks.end()),
      rows_(std::move(rows)) {
  first_.push_back(0);
  for (const VectorBlock& block : blocks_) first_.push_back(first_.back() + block.values.rows);
}

std::span<const std::int64_t> ProbeRows::tile(std::size_t index) const noexcept {
  const std::size_t first = index * kTile;
  return std::span(rows_).subspan(first, std::min<std::size_t>(kTile, rows_.size() - first));
}

void ProbeRows::fill(std::size_t index, float* out) const {
  const std::span<const std::int64_t> wanted = tile(index);
  for (std::size_t at = 0; at < wanted.size();) {
    const std::int64_t row = wanted[at];
    const auto block =
        static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), row) - first_.begin()) - 1;
    std::size_t end = at + 1;
    while (end < wanted.size() && wanted[end] == wanted[end - 1] + 1 && wanted[end] < first_[block + 1]) ++end;
    const RowsView& values = blocks_[block].values;
    const auto count = static_cast<std::int64_t>(end - at);
    const RowsView run{
        values.dtype,
        values.data + (row - first_[block]) * values.stride * static_cast<std::int64_t>(dtype_size(values.dtype)),
        count, width_, values.stride};
    float* const to = out + static_cast<std::int64_t>(at) * columns();
    backend_.convert(run, {DType::kF32, reinterpret_cast<std::byte*>(to), count, width_, columns()});
    at = end;
  }
  const auto size = static_cast<std::size_t>(width_);
  std::vector<float> mean(size), factor(size, 1.0F);
  for (std::size_t i = 0; i < standard_.mean.size(); ++i) {
    mean[i] = static_cast<float>(standard_.mean[i]);
    factor[i] = static_cast<float>(1 / standard_.scale[i]);
  }
  for (std::size_t at = 0; at < wanted.size(); ++at) {
    float* const row = out + static_cast<std::int64_t>(at) * columns();
    const float *const less = mean.data(), *const times = factor.data();
    for (std::size_t i = 0; i < size; ++i) row[i] = (row[i] - less[i]) * times[i];
    row[size] = 1;
  }
}

TileChunks::TileChunks(std::size_t tiles, std::uint64_t bytes_each) noexcept
    : tiles_(tiles),
      count_(std::clamp<std::size_t>(
          std::min<std::size_t>(kMostChunks, kMostBytes / std::max<std::uint64_t>(1, bytes_each)), 1,
          std::max<std::size_t>(1, tiles))) {}

std::size_t TileChunks::workers(int threads) const noexcept {
  return std::min(static_cast<std::size_t>(all_cores(threads)), count_);
}

Status TileChunks::for_each(int threads, const Backend& backend,
                            const std::function<Status(std::size_t, std::size_t, std::size_t)>& work) const {
  const std::size_t several = workers(threads);
  std::atomic<std::size_t> next{0};
  return for_each_parallel(
      several, static_cast<int>(several),
      [&](std::size_t worker) -> Status {
        for (std::size_t chunk = next++; chunk < count_; chunk = next++) {
          for (std::size_t tile = first_tile(chunk); tile < first_tile(chunk + 1); ++tile)
            LAYERSCOPE_TRY(work(chunk, tile, worker));
        }
        return {};
      },
      [&] { backend.enter_worker(); });
}

Result<std::vector<RowSums>> sum_parts(const ProbeRows& rows, std::span<const std::uint8_t> parts,
                                       std::size_t part_count, int threads) {
  const auto width = static_cast<std::size_t>(rows.width());
  const TileChunks chunks(rows.tiles(), 2 * sizeof(double) * width * part_count);
  std::vector<std::vector<RowSums>> sums(chunks.count(), std::vector<RowSums>(part_count, RowSums(width)));
  std::vector<std::vector<float>> buffers(chunks.workers(threads));
  constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  std::vector<std::int64_t> bad(chunks.count(), kNone);
  LAYERSCOPE_TRY(
      chunks.for_each(threads, rows.backend(), [&](std::size_t chunk, std::size_t tile, std::size_t worker) -> Status {
        std::vector<float>& values = buffers[worker];
        values.resize(static_cast<std::size_t>(ProbeRows::kTile * rows.columns()));
        rows.fill(tile, values.data());
        const std::span<const std::int64_t> numbers = rows.tile(tile);
        for (std::size_t at = 0; at < numbers.size(); ++at) {
          RowSums& into = sums[chunk][parts[static_cast<std::size_t>(numbers[at])]];
          const float* const row = values.data() + at * (width + 1);
          double* const sum = into.sum.data();
          double* const squares = into.squares.data();
          double check = 0;
          for (std::size_t i = 0; i < width; ++i) {
            const double value = static_cast<double>(row[i]);
            sum[i] += value;
            squares[i] += value * value;
            check += value * 0;
          }
          if (check != 0) bad[chunk] = std::min(bad[chunk], numbers[at]);
          into.count += 1;
        }
        return {};
      }));
  const std::int64_t worst = *std::min_element(bad.begin(), bad.end());
  if (worst != kNone) return Error{ErrorCode::kRuntime, "vector " + std::to_string(worst) + " holds NaN or infinity"};
  for (std::size_t chunk = 1; chunk < sums.size(); ++chunk) {
    for (std::size_t part = 0; part < part_count; ++part) sums[0][part].add(sums[chunk][part]);
  }
  return std::move(sums[0]);
}

}  // namespace layerscope
