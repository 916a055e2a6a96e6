#include "analysis/probe_scores.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "analysis/random.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

using Times = std::vector<std::uint32_t>;  // how often each group counts

/// The score of the groups as they are, and of resamples of as many groups drawn with replacement.
Result<ProbeScore> bootstrap(std::size_t groups, const BootstrapOptions& options,
                             const std::function<double(const Times&)>& score) {
  ProbeScore result;
  result.score = result.low = result.high = score(Times(groups, 1));
  if (options.resamples < 1) return result;
  std::vector<double> drawn(static_cast<std::size_t>(options.resamples));
  LAYERSCOPE_TRY(for_each_parallel(drawn.size(), all_cores(options.threads), [&](std::size_t i) -> Status {
    SplitMix64 random(SplitMix64(options.seed + i).next());
    Times times(groups);
    for (std::size_t k = 0; k < groups; ++k) ++times[random.below(groups)];
    drawn[i] = score(times);
    return {};
  }));
  std::sort(drawn.begin(), drawn.end());
  const double tail = (1 - options.confidence) / 2 * static_cast<double>(drawn.size() - 1);
  result.low = drawn[static_cast<std::size_t>(std::floor(tail))];
  result.high = drawn[drawn.size() - 1 - static_cast<std::size_t>(std::floor(tail))];
  return result;
}

double macro_f1(const ProbeGroups& groups, std::span<const std::int32_t> classes,
                std::span<const std::int32_t> predicted, std::size_t class_count, const Times& times) {
  std::vector<std::int64_t> hits(class_count), either(class_count);  // either: rows of the class plus rows taken for it
  for (const std::int64_t row : groups.rows) {
    const auto at = static_cast<std::size_t>(row);
    const std::int64_t weight = times[groups.of_row[at]];
    const auto is = static_cast<std::size_t>(classes[at]), taken = static_cast<std::size_t>(predicted[at]);
    either[is] += weight;
    either[taken] += weight;
    if (is == taken) hits[is] += weight;
  }
  double sum = 0, count = 0;
  for (std::size_t k = 0; k < class_count; ++k) {
    if (either[k] == 0) continue;
    sum += 2 * static_cast<double>(hits[k]) / static_cast<double>(either[k]);
    count += 1;
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

Result<ProbeScore> score_classes(ProbeMetric metric, const ProbeGroups& groups, std::span<const std::int32_t> classes,
                                 std::span<const std::int32_t> predicted, std::int32_t class_count,
                                 const BootstrapOptions& options) {
  if (metric == ProbeMetric::kMacroF1) {
    return bootstrap(groups.members.size(), options, [&](const Times& times) {
      return macro_f1(groups, classes, predicted, static_cast<std::size_t>(class_count), times);
    });
  }
  std::vector<std::int64_t> right(groups.members.size());
  for (const std::int64_t row : groups.rows) {
    const auto at = static_cast<std::size_t>(row);
    if (classes[at] == predicted[at]) ++right[groups.of_row[at]];
  }
  return bootstrap(groups.members.size(), options, [&](const Times& times) {
    std::int64_t hits = 0, rows = 0;
    for (std::size_t group = 0; group < right.size(); ++group) {
      hits += times[group] * right[group];
      rows += times[group] * static_cast<std::int64_t>(groups.members[group].size());
    }
    return static_cast<double>(hits) / static_cast<double>(rows);
  });
}

Result<ProbeScore> score_targets(const ProbeGroups& groups, std::span<const double> targets,
                                 std::span<const double> predicted, const BootstrapOptions& options) {
  struct Sums {
    double errors = 0, sum = 0, squares = 0, count = 0;
  };
  double middle = 0;
  for (const std::int64_t row : groups.rows) middle += targets[static_cast<std::size_t>(row)];
  middle /= static_cast<double>(groups.rows.size());
  std::vector<Sums> of_group(groups.members.size());
  for (const std::int64_t row : groups.rows) {
    const auto at = static_cast<std::size_t>(row);
    Sums& into = of_group[groups.of_row[at]];
    const double target = targets[at] - middle, error = targets[at] - predicted[at];
    into.errors += error * error;
    into.sum += target;
    into.squares += target * target;
    into.count += 1;
  }
  return bootstrap(of_group.size(), options, [&](const Times& times) {
    Sums all;
    for (std::size_t group = 0; group < of_group.size(); ++group) {
      const double weight = times[group];
      all.errors += weight * of_group[group].errors;
      all.sum += weight * of_group[group].sum;
      all.squares += weight * of_group[group].squares;
      all.count += weight * of_group[group].count;
    }
    const double spread = all.squares - all.sum * all.sum / all.count;
    return spread > 0 ? 1 - all.errors / spread : 0.0;
  });
}

}  // namespace layerscope
