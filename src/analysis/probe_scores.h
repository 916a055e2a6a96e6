// How good predictions are, and how sure that is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "analysis/probe.h"
#include "analysis/probe_split.h"

namespace layerscope {

struct BootstrapOptions {
  double confidence = 0.95;
  int resamples = 1000;
  std::uint64_t seed = 0;
  int threads = 0;
};

/// kAccuracy or kMacroF1 of the rows of `groups`; both lists are by row index. As sklearn.metrics.accuracy_score and
/// f1_score(average="macro").
[[nodiscard]] Result<ProbeScore> score_classes(ProbeMetric metric, const ProbeGroups& groups,
                                               std::span<const std::int32_t> classes,
                                               std::span<const std::int32_t> predicted, std::int32_t class_count,
                                               const BootstrapOptions& options);
/// kR2, as sklearn.metrics.r2_score; 0 for targets that are all equal.
[[nodiscard]] Result<ProbeScore> score_targets(const ProbeGroups& groups, std::span<const double> targets,
                                               std::span<const double> predicted, const BootstrapOptions& options);

}  // namespace layerscope
