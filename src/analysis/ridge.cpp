#include "analysis/ridge.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "analysis/cholesky.h"
#include "analysis/gram.h"
#include "base/try.h"

namespace layerscope {
namespace {

void add_to(std::vector<double>& into, const std::vector<double>& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] += from[i];
}

}  // namespace

void RidgeMoments::add(const RidgeMoments& other) noexcept {
  add_to(xx, other.xx);
  add_to(yy, other.yy);
  for (std::size_t target = 0; target < xy.size(); ++target) add_to(xy[target], other.xy[target]);
}

Result<std::vector<RidgeMoments>> ridge_moments(const Backend& backend, const VectorSet& vectors,
                                                const Standard& standard, std::span<const std::int64_t> rows,
                                                Parts parts, std::size_t part_count,
                                                std::span<const std::span<const double>> targets, int threads) {
  const auto columns = static_cast<std::size_t>(vectors.width) + 1;
  std::vector<RidgeMoments> moments;
  for (std::size_t part = 0; part < part_count; ++part) {
    std::vector<std::int64_t> members;
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(members),
                 [&](std::int64_t row) { return parts[static_cast<std::size_t>(row)] == part; });
    ProbeRows of_part(backend, vectors, std::move(members));
    of_part.set_standard(standard);
    const TileChunks chunks(of_part.tiles(), sizeof(double) * columns * columns);
    std::vector<RidgeMoments> sums(chunks.count(), RidgeMoments(columns, targets.size()));
    std::vector<RowTile> workers;
    while (workers.size() < chunks.workers(threads)) workers.emplace_back(of_part);
    const auto work = [&](std::size_t chunk, std::size_t index, std::size_t worker) -> Status {
      RowTile& tile = workers[worker];
      tile.load(index);
      LAYERSCOPE_TRY(tile.pack());
      LAYERSCOPE_TRY(tile.add_gram(nullptr, sums[chunk].xx.data()));
      const std::span<const std::int64_t> numbers = of_part.tile(index);
      for (std::size_t at = 0; at < numbers.size(); ++at) {
        const float* const x = tile.rows() + at * columns;
        for (std::size_t target = 0; target < targets.size(); ++target) {
          const double y = targets[target][static_cast<std::size_t>(numbers[at])];
          double* const into = sums[chunk].xy[target].data();
          for (std::size_t i = 0; i < columns; ++i) into[i] += y * static_cast<double>(x[i]);
          sums[chunk].yy[target] += y * y;
        }
      }
      return {};
    };
    LAYERSCOPE_TRY(chunks.for_each(threads, backend, work));
    for (std::size_t chunk = 1; chunk < sums.size(); ++chunk) sums[0].add(sums[chunk]);
    moments.push_back(std::move(sums[0]));
  }
  return moments;
}

std::vector<double> solve_ridge(const RidgeMoments& moments, std::size_t target, double alpha) {
  const std::size_t columns = moments.columns, width = columns - 1;
  const double rows = moments.rows();
  const std::vector<double>& xy = moments.xy[target];
  std::vector<double> mean(width), scale(width), weights(columns);
  if (rows == 0) return weights;
  for (std::size_t i = 0; i < width; ++i) {
    mean[i] = moments.xx[i * columns + width] / rows;
    const double variance = moments.xx[i * columns + i] / rows - mean[i] * mean[i];
    // Products are float32: what is below their rounding is a constant.
    scale[i] = variance > 1e-7 * mean[i] * mean[i] ? std::sqrt(variance) : 1;
  }
  std::vector<double> plain(width * width), system, solution(width);
  for (std::size_t i = 0; i < width; ++i) {
    for (std::size_t j = 0; j <= i; ++j)
      plain[i * width + j] = (moments.xx[i * columns + j] - rows * mean[i] * mean[j]) / (scale[i] * scale[j]);
  }
  bool solvable = false;
  for (double added = alpha; !solvable && added <= 1e3 * (rows + alpha);
       added = std::max(10 * added, 1e-7 * rows)) {  // more where rounding left it indefinite
    system = plain;
    for (std::size_t i = 0; i < width; ++i) system[i * width + i] += added;
    solvable = cholesky_factorise(system, width);
  }
  for (std::size_t i = 0; i < width; ++i) solution[i] = (xy[i] - mean[i] * xy[width]) / scale[i];
  if (solvable) {
    cholesky_solve(system, width, solution.data());
  } else {
    std::fill(solution.begin(), solution.end(), 0.0);
  }
  weights[width] = xy[width] / rows;
  for (std::size_t i = 0; i < width; ++i) {
    weights[i] = solution[i] / scale[i];
    weights[width] -= weights[i] * mean[i];
  }
  return weights;
}

double ridge_error(const RidgeMoments& moments, std::size_t target, const std::vector<double>& weights) {
  const std::size_t columns = moments.columns;
  double error = moments.yy[target];
  for (std::size_t i = 0; i < columns; ++i) {
    error += weights[i] *
             (interleaved_dot(moments.xx.data() + i * columns, weights.data(), columns) - 2 * moments.xy[target][i]);
  }
  return std::max(0.0, error);
}

}  // namespace layerscope
