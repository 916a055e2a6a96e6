#include "analysis/probe.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "analysis/probe_state.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr int kMostFolds = 20;
constexpr std::size_t kMostRows = 0xFFFFFFFF;

Error usage(const std::string& message) { return {ErrorCode::kUsage, message}; }

Status check_options(const ProbeLabels& labels, const ProbeOptions& options) {
  const bool classes = labels.class_count > 0 || !labels.classes.empty();
  if (options.folds < 2 || options.folds > kMostFolds)
    return usage(std::to_string(options.folds) + " folds (expected 2 to " + std::to_string(kMostFolds) + ")");
  if ((options.metric == ProbeMetric::kR2) == classes)
    return usage(classes ? "R2 is a score of numbers, and the labels are classes"
                         : "the labels are numbers, whose score is R2");
  const bool sound = std::is_sorted(options.strengths.begin(), options.strengths.end()) &&
                     std::all_of(options.strengths.begin(), options.strengths.end(),
                                 [](double strength) { return strength >= 1e-9 && strength <= 1e9; });
  if (!sound) return usage("strengths must ascend, from 1e-9 to 1e9");
  if (!(options.confidence > 0 && options.confidence < 1) || options.resamples < 0 || options.choice_rows < 1)
    return usage("a confidence between 0 and 1, resamples from 0 and at least one row for a choice are expected");
  const std::size_t rows = classes ? labels.classes.size() : labels.targets.size();
  if ((!labels.groups.empty() && labels.groups.size() != rows) ||
      (!labels.types.empty() && labels.types.size() != rows) || rows > kMostRows)
    return usage("labels, groups and types differ in length");
  if (classes && (labels.class_count < 2 || labels.class_count > kMostProbeClasses))
    return usage(std::to_string(labels.class_count) + " classes (expected 2 to " + std::to_string(kMostProbeClasses) +
                 ")");
  return {};
}

/// Rows with a label.
Result<std::vector<std::int64_t>> labelled_rows(const ProbeLabels& labels) {
  std::vector<std::int64_t> rows;
  for (std::size_t row = 0; row < labels.classes.size(); ++row) {
    const std::int32_t label = labels.classes[row];
    if (label == kUnlabelled) continue;
    if (label < 0 || label >= labels.class_count)
      return usage("row " + std::to_string(row) + " has the class " + std::to_string(label) + " of " +
                   std::to_string(labels.class_count));
    rows.push_back(static_cast<std::int64_t>(row));
  }
  for (std::size_t row = 0; row < labels.targets.size() && labels.class_count == 0; ++row) {
    if (std::isnan(labels.targets[row])) continue;
    if (!(std::abs(labels.targets[row]) <= 1e100))
      return usage("row " + std::to_string(row) + " has a target beyond 1e100");
    rows.push_back(static_cast<std::int64_t>(row));
  }
  return rows;
}

template <class T>
bool two_different(const std::vector<T>& values, const std::vector<std::int64_t>& rows) {
  return std::any_of(rows.begin(), rows.end(), [&](std::int64_t row) {
    return values[static_cast<std::size_t>(row)] != values[static_cast<std::size_t>(rows[0])];
  });
}

/// What is most frequent, or the mean, where a fold is not: predicted for the fold.
Result<ProbeScore> baseline_of(const ProbeTask::State& task) {
  const ProbeParts& folds = task.folds;
  const std::size_t count = folds.count, classes = static_cast<std::size_t>(task.class_count);
  const auto fold_of = [&](std::int64_t row) { return folds.of_row[static_cast<std::size_t>(row)] / 2U; };
  if (task.class_count == 0) {
    std::vector<double> sum(count), rows(count), predicted(task.all_rows);
    for (const std::int64_t row : task.groups.rows) {
      for (std::size_t fold = 0; fold < count; ++fold) {
        if (fold == fold_of(row)) continue;
        sum[fold] += task.targets[static_cast<std::size_t>(row)];
        rows[fold] += 1;
      }
    }
    for (const std::int64_t row : task.groups.rows)
      predicted[static_cast<std::size_t>(row)] = sum[fold_of(row)] / rows[fold_of(row)];
    return score_targets(task.groups, task.targets, predicted, task.bootstrap());
  }
  std::vector<std::int64_t> rows(count * classes);
  for (const std::int64_t row : task.groups.rows) {
    for (std::size_t fold = 0; fold < count; ++fold) {
      if (fold != fold_of(row))
        ++rows[fold * classes + static_cast<std::size_t>(task.classes[static_cast<std::size_t>(row)])];
    }
  }
  std::vector<std::int32_t> most, predicted(task.all_rows, kUnlabelled);
  for (std::size_t fold = 0; fold < count; ++fold) {
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(fold * classes);
    most.push_back(
        static_cast<std::int32_t>(std::max_element(first, first + static_cast<std::ptrdiff_t>(classes)) - first));
  }
  for (const std::int64_t row : task.groups.rows) predicted[static_cast<std::size_t>(row)] = most[fold_of(row)];
  return score_classes(task.options.metric, task.groups, task.classes, predicted, task.class_count, task.bootstrap());
}

void make_control(ProbeTask::State& task, std::span<const std::int64_t> types) {
  const std::vector<std::int64_t> from = control_rows(task.groups, types, task.options.seed + 1);
  if (task.class_count > 0) {
    task.control_classes.assign(task.all_rows, kUnlabelled);
  } else {
    task.control_targets.assign(task.all_rows, 0.0);
  }
  for (const std::int64_t row : task.groups.rows) {
    const auto at = static_cast<std::size_t>(row), source = static_cast<std::size_t>(from[at]);
    if (task.class_count > 0) {
      task.control_classes[at] = task.classes[source];
    } else {
      task.control_targets[at] = task.targets[source];
    }
  }
}

}  // namespace

BootstrapOptions ProbeTask::State::bootstrap() const {
  return {.confidence = options.confidence,
          .resamples = options.resamples,
          .seed = options.seed,
          .threads = options.threads};
}

Status ProbeTask::State::go_on() const {
  if (options.stop && options.stop()) return Error{ErrorCode::kCancelled, "stopped"};
  return {};
}

double ProbeTask::State::usual_strength() const {
  return *std::min_element(options.strengths.begin(), options.strengths.end(),
                           [](double a, double b) { return std::abs(std::log(a)) < std::abs(std::log(b)); });
}

Status ProbeTask::State::check(const VectorSet& layer) const {
  if (layer.rows() != static_cast<std::int64_t>(all_rows))
    return usage(std::to_string(layer.rows()) + " vectors and " + std::to_string(all_rows) + " labels");
  if (layer.code != VectorCode::kNumbers || layer.width < 1) return usage("a probe reads vectors of numbers");
  return {};
}

ProbeTask::ProbeTask(std::unique_ptr<State> state) : state_(std::move(state)) {}
ProbeTask::~ProbeTask() = default;

Result<std::unique_ptr<ProbeTask>> ProbeTask::make(const ProbeLabels& labels, const ProbeOptions& options) try {
  LAYERSCOPE_TRY(check_options(labels, options));
  LAYERSCOPE_ASSIGN(std::vector<std::int64_t> rows, labelled_rows(labels));
  auto task = std::make_unique<State>();
  task->options = options;
  if (task->options.strengths.empty()) task->options.strengths = {1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100};
  LAYERSCOPE_ASSIGN(task->backend, make_cpu_backend({Precision::kF32, options.isa}));
  task->class_count = labels.class_count;
  task->classes.assign(labels.classes.begin(), labels.classes.end());
  if (labels.class_count == 0) task->targets.assign(labels.targets.begin(), labels.targets.end());
  task->all_rows = labels.class_count > 0 ? task->classes.size() : task->targets.size();
  const bool different = !rows.empty() && (labels.class_count > 0 ? two_different(task->classes, rows)
                                                                  : two_different(task->targets, rows));
  if (!different) return usage("all labels are equal: there is nothing to learn");
  for (const std::int64_t row : rows) {
    if (labels.class_count == 0) break;
    task->class_rows.resize(static_cast<std::size_t>(labels.class_count));
    ++task->class_rows[static_cast<std::size_t>(task->classes[static_cast<std::size_t>(row)])];
  }
  task->groups = number_groups(std::move(rows), labels.groups, task->all_rows);
  const std::size_t groups = task->groups.members.size();
  if (groups < static_cast<std::size_t>(options.folds))
    return usage(std::to_string(groups) + " groups of labelled rows for " + std::to_string(options.folds) +
                 " folds (expected one a fold at least)");
  task->order = shuffled_groups(groups, options.seed);
  task->folds = deal_folds(task->groups, task->order, task->classes, static_cast<std::size_t>(options.folds));
  if (labels.class_count > 0) task->blocks = cut_blocks(task->groups, task->order);
  if (options.control && !labels.types.empty()) make_control(*task, labels.types);
  LAYERSCOPE_ASSIGN(task->baseline, baseline_of(*task));
  return std::unique_ptr<ProbeTask>(new ProbeTask(std::move(task)));
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while a probing task was made"};
}

Result<LayerProbe> ProbeTask::run(const VectorSet& layer) const try {
  const State& task = *state_;
  LAYERSCOPE_TRY(task.check(layer));
  task.backend->enter_worker();  // products of their own threads would wait beside those here
  const ProbeRows plain(*task.backend, layer, task.groups.rows);
  LAYERSCOPE_ASSIGN(std::vector<RowSums> sums,
                    sum_parts(plain, task.folds.of_row, task.folds.parts(), task.options.threads));
  RowSums all(static_cast<std::size_t>(layer.width));
  for (const RowSums& part : sums) all.add(part);
  const ProbedLayer probed{task, layer, all.standard()};
  for (RowSums& part : sums) part = part.standardised(probed.standard);
  if (task.class_count == 0) return probe_targets(probed);
  LAYERSCOPE_ASSIGN(LayerProbe probe, probe_classes(probed, sums));
  if (task.options.description_length) {
    LAYERSCOPE_ASSIGN(probe.length, code_online(probed));
  }
  return probe;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while a layer was probed"};
}

const ProbeScore& ProbeTask::baseline() const noexcept { return state_->baseline; }
bool ProbeTask::has_control() const noexcept { return state_->has_control(); }
std::int64_t ProbeTask::rows() const noexcept { return static_cast<std::int64_t>(state_->groups.rows.size()); }
std::int64_t ProbeTask::groups() const noexcept { return static_cast<std::int64_t>(state_->groups.members.size()); }
const std::vector<std::int64_t>& ProbeTask::class_rows() const noexcept { return state_->class_rows; }

}  // namespace layerscope
