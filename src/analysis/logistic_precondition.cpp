#include "analysis/logistic_precondition.h"

#include <algorithm>
#include <atomic>

#include "analysis/cholesky.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

/// Of the moments, weighted as the block is on average: keeps a block definite where the sample saw little of its
/// class.
constexpr double kShrink = 0.1;

std::vector<std::size_t> sample_tiles(const ProbeRows& rows) {
  const std::size_t all = rows.tiles(), count = std::min(all, LogisticPreconditioner::kSampleTiles);
  std::vector<std::size_t> tiles(count);
  for (std::size_t i = 0; i < count; ++i) tiles[i] = i * all / count;
  return tiles;
}

/// The penalty's share of a Hessian: nothing for the intercept but what keeps it definite.
void add_penalty(std::vector<double>& hessian, std::size_t size, double penalty) {
  for (std::size_t i = 0; i + 1 < size; ++i) hessian[i * size + i] += penalty;
  hessian[size * size - 1] += 1e-9;
}

/// Models whose outputs add up to 0 keep that.
void centre(std::vector<double>& values, std::size_t columns, const std::vector<double>& class_rows) {
  if (columns == 1) return;
  const double present =
      static_cast<double>(std::count_if(class_rows.begin(), class_rows.end(), [](double rows) { return rows > 0; }));
  for (std::size_t first = 0; first < values.size(); first += columns) {
    double sum = 0;
    for (std::size_t k = 0; k < columns; ++k) {
      if (class_rows[k] == 0) values[first + k] = 0;
      sum += values[first + k];
    }
    for (std::size_t k = 0; k < columns; ++k) {
      if (class_rows[k] > 0) values[first + k] -= sum / present;
    }
  }
}

}  // namespace

Result<std::vector<double>> LogisticPreconditioner::moments(const ProbeRows& rows) {
  const auto size = static_cast<std::size_t>(rows.columns());
  std::vector<double> sum(size * size);
  RowTile tile(rows);
  double count = 0;
  for (const std::size_t index : sample_tiles(rows)) {
    tile.load(index);
    LAYERSCOPE_TRY(tile.pack());
    LAYERSCOPE_TRY(tile.add_gram(nullptr, sum.data()));
    count += static_cast<double>(tile.count());
  }
  for (double& value : sum) value /= count;
  return sum;
}

LogisticPreconditioner::LogisticPreconditioner(const std::vector<double>& moments, const ProbeRows& rows,
                                               const LogisticModel& alike)
    : size_(static_cast<std::size_t>(rows.columns())), common_(moments) {
  const double shares = 1 / static_cast<double>(alike.classes);
  add_penalty(common_, size_, 1 / (alike.strength * alike.rows * shares));
  if (cholesky_factorise(common_, size_)) return;
  common_.assign(size_ * size_, 0.0);
  for (std::size_t i = 0; i < size_; ++i) common_[i * size_ + i] = 1;
}

Status LogisticPreconditioner::rebuild(const std::vector<double>& moments, const ProbeRows& rows, Parts parts,
                                       const LogisticModel& model, const std::vector<double>& weights, int threads) {
  const std::size_t outputs = model.columns();
  const StackedModel only{&model, &weights};
  LAYERSCOPE_ASSIGN(const LogisticStack stack, LogisticStack::pack(rows, std::span(&only, 1)));
  std::vector<std::vector<double>> blocks(outputs, std::vector<double>(size_ * size_));
  std::vector<double> total(outputs);
  std::vector<float> scores(static_cast<std::size_t>(ProbeRows::kTile) * outputs);
  std::vector<std::vector<float>> curves(outputs, std::vector<float>(static_cast<std::size_t>(ProbeRows::kTile)));
  RowTile tile(rows);
  double count = 0;
  std::vector<RowTile> helpers;
  const std::size_t workers = std::min<std::size_t>(outputs, static_cast<std::size_t>(all_cores(threads)));
  for (std::size_t i = 0; i < workers; ++i) helpers.emplace_back(rows);
  for (const std::size_t index : sample_tiles(rows)) {
    tile.load(index);
    LAYERSCOPE_TRY(tile.pack());
    LAYERSCOPE_TRY(stack.multiply(rows, tile.rows(), tile.count(), scores.data(), tile.scratch()));
    const std::uint64_t chosen = model.parts;
    stack.probabilities(rows.tile(index), parts, std::span(&chosen, 1), scores.data());
    for (std::int64_t at = 0; at < tile.count(); ++at) {
      const auto number = static_cast<std::size_t>(rows.tile(index)[static_cast<std::size_t>(at)]);
      const bool counts = (model.parts >> parts[number] & 1) != 0;
      count += counts ? 1 : 0;
      for (std::size_t k = 0; k < outputs; ++k) {
        const float p = scores[static_cast<std::size_t>(at) * outputs + k];
        const float curve = counts ? p * (1 - p) : 0.0F;
        curves[k][static_cast<std::size_t>(at)] = curve;
        total[k] += static_cast<double>(curve);
      }
    }
    std::atomic<std::size_t> next{0};
    const auto work = [&](std::size_t worker) -> Status {
      for (std::size_t k = next++; k < outputs; k = next++)
        LAYERSCOPE_TRY(helpers[worker].add_gram_of(tile, curves[k].data(), blocks[k].data()));
      return {};
    };
    LAYERSCOPE_TRY(for_each_parallel(workers, static_cast<int>(workers), work, [&] { rows.backend().enter_worker(); }));
  }
  if (count == 0) return {};
  LAYERSCOPE_TRY(for_each_parallel(outputs, all_cores(threads), [&](std::size_t k) -> Status {
    // A class that is told apart for certain has no curvature left but the penalty's.
    const double mean = std::max(total[k] / count, 1e-6);
    std::vector<double>& block = blocks[k];
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = block[i] / count + kShrink * mean * moments[i];
    add_penalty(block, size_, 1 / (model.strength * model.rows));
    if (!cholesky_factorise(block, size_)) block.clear();
    return {};
  }));
  if (std::none_of(blocks.begin(), blocks.end(), [](const auto& block) { return block.empty(); }))
    blocks_ = std::move(blocks);
  return {};
}

void LogisticPreconditioner::apply(const LogisticModel& model, std::vector<double>& gradient) const {
  const std::size_t columns = model.columns();
  centre(gradient, columns, model.class_rows);
  if (blocks_.empty()) {
    cholesky_solve(common_, size_, gradient.data(), columns);
    for (std::size_t k = 0; k < columns; ++k) {
      const double share = model.class_rows[columns == 1 ? 1 : k] / model.rows;
      if (share == 0) continue;
      const double curve = columns == 1 ? share * (1 - share) : share;
      for (std::size_t i = k; i < gradient.size(); i += columns) gradient[i] /= curve;
    }
  } else {
    std::vector<double> column(size_);
    for (std::size_t k = 0; k < columns; ++k) {
      for (std::size_t i = 0; i < size_; ++i) column[i] = gradient[i * columns + k];
      cholesky_solve(blocks_[k], size_, column.data());
      for (std::size_t i = 0; i < size_; ++i) gradient[i * columns + k] = column[i];
    }
  }
  centre(gradient, columns, model.class_rows);
}

}  // namespace layerscope
