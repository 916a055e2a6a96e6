// What a ProbeTask holds, and the work it is split into.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/logistic.h"
#include "analysis/probe.h"
#include "analysis/probe_rows.h"
#include "analysis/probe_scores.h"
#include "analysis/probe_split.h"

namespace layerscope {

struct ProbeTask::State {
  ProbeOptions options;
  std::unique_ptr<Backend> backend;
  std::size_t all_rows = 0;
  std::int32_t class_count = 0;  ///< 0: targets
  std::vector<std::int32_t> classes, control_classes;
  std::vector<double> targets, control_targets;
  ProbeGroups groups;
  std::vector<std::uint32_t> order;
  ProbeParts folds, blocks;
  std::vector<std::int64_t> class_rows;
  ProbeScore baseline;

  [[nodiscard]] bool has_control() const noexcept { return !control_classes.empty() || !control_targets.empty(); }
  [[nodiscard]] BootstrapOptions bootstrap() const;
  [[nodiscard]] Status check(const VectorSet& layer) const;
  /// kCancelled where options.stop says so.
  [[nodiscard]] Status go_on() const;
  /// The strength next to 1.
  [[nodiscard]] double usual_strength() const;
};

/// A layer's states, how they are standardised (by all rows that take part: a matter of float32 alone, since every
/// model has its own standard on top), and their sums by part.
struct ProbedLayer {
  const ProbeTask::State& task;
  const VectorSet& vectors;
  Standard standard;

  [[nodiscard]] ProbeRows rows(std::vector<std::int64_t> which) const {
    ProbeRows made(*task.backend, vectors, std::move(which));
    made.set_standard(standard);
    return made;
  }
};

/// For each of `masks` (the parts that a model may learn from) the strength that gives the rows held out for the choice
/// the greatest likelihood, and the model that did so: fitted to `rows` alone. A model is returned for every mask.
[[nodiscard]] Result<std::vector<LogisticModel>> choose_logistic(const ProbedLayer& layer, const ProbeParts& parts,
                                                                 std::vector<std::int64_t> rows,
                                                                 std::span<const std::uint64_t> masks,
                                                                 std::span<const std::int32_t> labels);
/// When a fit ends.
[[nodiscard]] LbfgsLimits fit_limits(const LogisticModel& model);

[[nodiscard]] Result<LayerProbe> probe_classes(const ProbedLayer& layer, std::span<const RowSums> sums);
[[nodiscard]] Result<DescriptionLength> code_online(const ProbedLayer& layer);
[[nodiscard]] Result<LayerProbe> probe_targets(const ProbedLayer& layer);

}  // namespace layerscope
