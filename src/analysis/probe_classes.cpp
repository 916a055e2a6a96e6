// Probes of classes: logistic regression by folds, and online coding.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "analysis/probe_state.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr double kManyRows = 10'000;
constexpr double kNats = 0.6931471805599453;  // a bit

/// The held-out likelihood has one top over the strengths: where it has fallen so often in a row, that top is behind.
constexpr int kMostWorse = 2;

/// A choice needs only to see which strength is best.
constexpr LbfgsLimits kChoiceLimits{.move = 1e-3, .gain = 1e-4, .evaluations = 40};

Status fit(const ProbeTask::State& task, const ProbeRows& rows, const ProbeParts& parts,
           std::vector<LogisticModel>& models, const LbfgsLimits& limits) {
  return fit_logistic(rows, parts.of_row, models,
                      {.limits = limits, .threads = task.options.threads, .stop = task.options.stop});
}

/// The loss of k weights estimated from n rows is k / 2n above the best (Akaike 1974): a thousandth of that is noise.
LbfgsLimits likelihood_limits(const LogisticModel& model) {
  return {.gain = 0.001 * static_cast<double>(model.weights.size()) / (2 * model.rows), .evaluations = 100};
}

/// `to` begins where `from` ended, if their classes are the same.
void begin_at(LogisticModel& to, const LogisticModel& from) {
  for (std::size_t k = 0; k < to.class_rows.size(); ++k) {
    if ((to.class_rows[k] > 0) != (from.class_rows[k] > 0)) return;
  }
  to.weights = from.weights;
}

}  // namespace

LbfgsLimits fit_limits(const LogisticModel& model) {
  return model.rows <= kManyRows ? LbfgsLimits() : likelihood_limits(model);
}

namespace {

/// The search for one mask's strength.
struct Choice {
  LogisticModel model;  // at the strength that is tried
  std::uint64_t held = 0;
  std::size_t of = 0;                                      // the mask's number
  double best = -std::numeric_limits<double>::infinity();  // log-likelihood of the rows held out
  int worse = 0;                                           // strengths in a row
};

/// Those of `masks` that have something to choose and rows to do it with.
std::vector<Choice> open_choices(const ProbedLayer& layer, const ProbeRows& rows, const ProbeParts& parts,
                                 std::span<const RowSums> sums, std::span<const std::uint64_t> masks,
                                 std::span<const std::int32_t> labels) {
  const ProbeTask::State& task = layer.task;
  std::vector<Choice> choices;
  for (std::size_t i = 0; i < masks.size() && task.options.strengths.size() > 1; ++i) {
    double choosing = 0;
    for (std::size_t part = 0; part < sums.size(); ++part) {
      if ((ProbeParts::choosing(masks[i]) >> part & 1) != 0) choosing += sums[part].count;
    }
    LogisticModel model = logistic_model(rows, parts.of_row, sums, ProbeParts::learning(masks[i]), labels,
                                         task.class_count, task.options.strengths[0]);
    if (choosing > 0 && model.rows > 0) choices.push_back({std::move(model), ProbeParts::choosing(masks[i]), i});
  }
  return choices;
}

}  // namespace

Result<std::vector<LogisticModel>> choose_logistic(const ProbedLayer& layer, const ProbeParts& parts,
                                                   std::vector<std::int64_t> which,
                                                   std::span<const std::uint64_t> masks,
                                                   std::span<const std::int32_t> labels) {
  const ProbeTask::State& task = layer.task;
  const ProbeRows rows = layer.rows(std::move(which));
  LAYERSCOPE_ASSIGN(const std::vector<RowSums> sums,
                    sum_parts(rows, parts.of_row, parts.parts(), task.options.threads));
  std::vector<LogisticModel> chosen;
  for (const std::uint64_t mask : masks)
    chosen.push_back(logistic_model(rows, parts.of_row, sums, mask, labels, task.class_count, task.usual_strength()));
  std::vector<Choice> choices = open_choices(layer, rows, parts, sums, masks, labels);
  for (const double strength : task.options.strengths) {
    if (choices.empty()) break;
    std::vector<LogisticModel> models;
    std::vector<std::uint64_t> held;
    for (Choice& choice : choices) {
      choice.model.strength = strength;
      models.push_back(std::move(choice.model));
      held.push_back(choice.held);
    }
    LAYERSCOPE_TRY(fit(task, rows, parts, models, kChoiceLimits));
    LAYERSCOPE_ASSIGN(const LogisticScores scores,
                      score_logistic(rows, parts.of_row, models, held, {}, task.options.threads));
    for (std::size_t i = 0; i < choices.size(); ++i) {
      Choice& choice = choices[i];
      choice.model = std::move(models[i]);
      choice.worse = scores.log_likelihood[i] > choice.best ? 0 : choice.worse + 1;
      if (choice.worse > 0) continue;
      choice.best = scores.log_likelihood[i];
      chosen[choice.of] = choice.model;
    }
    std::erase_if(choices, [](const Choice& choice) { return choice.worse == kMostWorse; });
  }
  return chosen;
}

Result<LayerProbe> probe_classes(const ProbedLayer& layer, std::span<const RowSums> sums) {
  const ProbeTask::State& task = layer.task;
  const ProbeParts& folds = task.folds;
  std::vector<std::uint64_t> masks, held;
  for (std::size_t fold = 0; fold < folds.count; ++fold) {
    masks.push_back(folds.others(fold));
    held.push_back(ProbeParts::both(fold));
  }
  const ProbeRows rows = layer.rows(task.groups.rows);
  const std::vector<std::int64_t> sample = first_rows(task.groups, task.order, task.options.choice_rows);
  std::vector<LogisticModel> models;
  LayerProbe probe;
  for (const auto* const labels : {&task.classes, &task.control_classes}) {
    if (labels->empty()) continue;
    LAYERSCOPE_ASSIGN(const std::vector<LogisticModel> chosen, choose_logistic(layer, folds, sample, masks, *labels));
    for (std::size_t fold = 0; fold < folds.count; ++fold) {
      models.push_back(
          logistic_model(rows, folds.of_row, sums, masks[fold], *labels, task.class_count, chosen[fold].strength));
      begin_at(models.back(), chosen[fold]);
      if (labels == &task.classes) probe.strengths.push_back(chosen[fold].strength);
    }
  }
  LAYERSCOPE_TRY(fit(task, rows, folds, models, fit_limits(models[0])));
  probe.unconverged = std::count_if(models.begin(), models.end(), [](const auto& model) { return !model.converged; });

  std::vector<std::int32_t> predicted(task.all_rows, kUnlabelled), control(task.all_rows, kUnlabelled);
  std::vector<std::int32_t*> to(folds.count, predicted.data());
  if (task.has_control()) {
    to.insert(to.end(), folds.count, control.data());
    held.insert(held.end(), held.begin(), held.begin() + static_cast<std::ptrdiff_t>(folds.count));
  }
  LAYERSCOPE_TRY(score_logistic(rows, folds.of_row, models, held, to, task.options.threads));
  LAYERSCOPE_ASSIGN(probe.score, score_classes(task.options.metric, task.groups, task.classes, predicted,
                                               task.class_count, task.bootstrap()));
  if (task.has_control()) {
    LAYERSCOPE_ASSIGN(probe.control, score_classes(task.options.metric, task.groups, task.control_classes, control,
                                                   task.class_count, task.bootstrap()));
    probe.selectivity = probe.score.score - probe.control->score;
  }
  const auto classes = static_cast<std::size_t>(task.class_count);
  probe.confusion.assign(classes * classes, 0);
  for (const std::int64_t row : task.groups.rows) {
    const auto at = static_cast<std::size_t>(row);
    ++probe.confusion[static_cast<std::size_t>(task.classes[at]) * classes + static_cast<std::size_t>(predicted[at])];
  }
  return probe;
}

Result<DescriptionLength> code_online(const ProbedLayer& layer) {
  const ProbeTask::State& task = layer.task;
  const ProbeParts& blocks = task.blocks;
  const double uniform = std::log2(static_cast<double>(task.class_count));
  DescriptionLength length;
  length.uniform_bits = uniform * static_cast<double>(task.groups.rows.size());
  std::vector<std::vector<std::int64_t>> of_block(blocks.count);
  for (const std::int64_t row : task.groups.rows)
    of_block[blocks.of_row[static_cast<std::size_t>(row)] / 2].push_back(row);
  length.bits = uniform * static_cast<double>(of_block[0].size());

  const std::vector<std::int64_t> sample = first_rows(task.groups, task.order, task.options.choice_rows);
  std::vector<std::int64_t> before = of_block[0];
  std::optional<LogisticModel> last;
  bool of_sample = false;  // the choice has seen all it will ever see
  for (std::size_t block = 1; block < blocks.count; ++block) {
    const std::uint64_t mask = ProbeParts::before(block);
    if (!of_sample) {
      std::vector<std::int64_t> rows;
      std::set_intersection(sample.begin(), sample.end(), before.begin(), before.end(), std::back_inserter(rows));
      of_sample = rows.size() == sample.size();
      LAYERSCOPE_ASSIGN(std::vector<LogisticModel> chosen,
                        choose_logistic(layer, blocks, std::move(rows), std::span(&mask, 1), task.classes));
      last = std::move(chosen[0]);
    }
    const ProbeRows rows = layer.rows(before);
    LAYERSCOPE_ASSIGN(const std::vector<RowSums> sums,
                      sum_parts(rows, blocks.of_row, blocks.parts(), task.options.threads));
    std::vector<LogisticModel> models{
        logistic_model(rows, blocks.of_row, sums, mask, task.classes, task.class_count, last->strength)};
    begin_at(models[0], *last);
    LAYERSCOPE_TRY(fit(task, rows, blocks, models, likelihood_limits(models[0])));
    last = std::move(models[0]);
    const std::uint64_t held = ProbeParts::both(block);
    LAYERSCOPE_ASSIGN(const LogisticScores scores,
                      score_logistic(layer.rows(of_block[block]), blocks.of_row, std::span(&*last, 1),
                                     std::span(&held, 1), {}, task.options.threads));
    length.bits -= scores.log_likelihood[0] / kNats;
    std::vector<std::int64_t> joined;
    std::merge(before.begin(), before.end(), of_block[block].begin(), of_block[block].end(),
               std::back_inserter(joined));
    before = std::move(joined);
  }
  return length;
}

}  // namespace layerscope
