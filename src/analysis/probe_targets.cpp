// Probes of numbers: ridge regression by folds, all of it from one set of moments.
#include <algorithm>
#include <limits>
#include <utility>

#include "analysis/cholesky.h"
#include "analysis/probe_state.h"
#include "analysis/ridge.h"
#include "base/try.h"

namespace layerscope {
namespace {

RidgeMoments moments_of(const std::vector<RidgeMoments>& parts, std::uint64_t mask) {
  RidgeMoments sum(parts[0].columns, parts[0].yy.size());
  for (std::size_t part = 0; part < parts.size(); ++part) {
    if ((mask >> part & 1) != 0) sum.add(parts[part]);
  }
  return sum;
}

double choose_strength(const ProbeTask::State& task, const std::vector<RidgeMoments>& parts, std::uint64_t mask,
                       std::size_t target) {
  const RidgeMoments learning = moments_of(parts, ProbeParts::learning(mask));
  const RidgeMoments choosing = moments_of(parts, ProbeParts::choosing(mask));
  if (task.options.strengths.size() == 1 || learning.rows() == 0 || choosing.rows() == 0) return task.usual_strength();
  double best = 0, least = std::numeric_limits<double>::infinity();
  for (const double strength : task.options.strengths) {
    const double error = ridge_error(choosing, target, solve_ridge(learning, target, 1 / strength));
    if (error < least) {
      least = error;
      best = strength;
    }
  }
  return best;
}

}  // namespace

Result<LayerProbe> probe_targets(const ProbedLayer& layer) {
  const ProbeTask::State& task = layer.task;
  std::vector<std::span<const double>> targets{task.targets};
  if (task.has_control()) targets.emplace_back(task.control_targets);
  LAYERSCOPE_ASSIGN(const std::vector<RidgeMoments> parts,
                    ridge_moments(*task.backend, layer.vectors, layer.standard, task.groups.rows, task.folds.of_row,
                                  task.folds.parts(), targets, task.options.threads));
  LayerProbe probe;
  std::vector<std::vector<std::vector<double>>> weights(targets.size());  // of each target and fold
  for (std::size_t target = 0; target < targets.size(); ++target) {
    for (std::size_t fold = 0; fold < task.folds.count; ++fold) {
      LAYERSCOPE_TRY(task.go_on());
      const std::uint64_t mask = task.folds.others(fold);
      const double strength = choose_strength(task, parts, mask, target);
      weights[target].push_back(solve_ridge(moments_of(parts, mask), target, 1 / strength));
      if (target == 0) probe.strengths.push_back(strength);
    }
  }
  const ProbeRows rows = layer.rows(task.groups.rows);
  const auto columns = static_cast<std::size_t>(rows.columns());
  std::vector<std::vector<double>> predicted(targets.size(), std::vector<double>(task.all_rows));
  const TileChunks chunks(rows.tiles(), 1);
  std::vector<std::vector<float>> tiles(chunks.workers(task.options.threads));
  const auto work = [&](std::size_t, std::size_t index, std::size_t worker) -> Status {
    std::vector<float>& values = tiles[worker];
    values.resize(static_cast<std::size_t>(ProbeRows::kTile) * columns);
    rows.fill(index, values.data());
    std::vector<double> x(columns);
    const std::span<const std::int64_t> numbers = rows.tile(index);
    for (std::size_t at = 0; at < numbers.size(); ++at) {
      const auto number = static_cast<std::size_t>(numbers[at]);
      std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at * columns), columns, x.begin());
      for (std::size_t target = 0; target < targets.size(); ++target) {
        const std::vector<double>& of_fold = weights[target][task.folds.of_row[number] / 2U];
        predicted[target][number] = interleaved_dot(x.data(), of_fold.data(), columns);
      }
    }
    return {};
  };
  LAYERSCOPE_TRY(chunks.for_each(task.options.threads, *task.backend, work));
  LAYERSCOPE_ASSIGN(probe.score, score_targets(task.groups, targets[0], predicted[0], task.bootstrap()));
  if (task.has_control()) {
    LAYERSCOPE_ASSIGN(probe.control, score_targets(task.groups, targets[1], predicted[1], task.bootstrap()));
    probe.selectivity = probe.score.score - probe.control->score;
  }
  return probe;
}

}  // namespace layerscope
