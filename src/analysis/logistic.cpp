#include "analysis/logistic.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "analysis/gram.h"
#include "analysis/logistic_precondition.h"
#include "analysis/logistic_stack.h"
#include "base/parallel.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::uint64_t kMostBytes =
    256U << 20;  // of a fit's optimisers, models beyond are fitted later; and of its preconditioners
constexpr double kBytesAnUnknown = 8.0 * 24;  // of an optimiser
constexpr int kFirstRebuild = 5;

/// What a worker needs of its own.
struct Worker {
  RowTile tile;
  std::vector<float> scores;
  explicit Worker(const ProbeRows& rows) : tile(rows) {}
};

/// Models with one preconditioner.
struct Kin {
  LogisticPreconditioner preconditioner;
  int rebuild = kFirstRebuild;  // at this step
};

class Fit {
 public:
  Fit(const ProbeRows& rows, Parts parts, std::span<LogisticModel> models, const std::vector<double>& moments,
      const LogisticOptions& options)
      : rows_(rows), parts_(parts), models_(models), moments_(moments), options_(options) {
    for (const LogisticModel& model : models) {
      searches_.emplace_back(model.weights, options.limits);
      const Key key = key_of(model);
      const auto [kin, fresh] = kin_.try_emplace(key, Kin{{moments, rows, model}});
      const std::size_t intercepts = model.columns();
      const bool warm =
          std::any_of(model.weights.begin(), model.weights.end() - static_cast<std::ptrdiff_t>(intercepts),
                      [](double weight) { return weight != 0; });
      if (fresh && warm) kin->second.rebuild = 0;
    }
    const auto size = static_cast<double>(rows.columns());
    const double blocks =
        8 * size * size * static_cast<double>(models_[0].columns()) * static_cast<double>(kin_.size());
    rebuilds_ = blocks <= static_cast<double>(kMostBytes);
  }

  Status run() {
    std::vector<std::size_t> active;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const bool several = std::count_if(models_[m].class_rows.begin(), models_[m].class_rows.end(),
                                         [](double rows) { return rows > 0; }) > 1;
      if (several) active.push_back(m);
      models_[m].converged = !several;
    }
    while (!active.empty()) {
      if (options_.stop && options_.stop()) return Error{ErrorCode::kCancelled, "stopped"};
      LAYERSCOPE_TRY(pass(active));
      std::erase_if(active, [&](std::size_t m) { return searches_[m].done(); });
    }
    for (std::size_t m = 0; m < models_.size(); ++m) {
      if (!searches_[m].done()) continue;
      models_[m].weights = searches_[m].point();
      models_[m].converged = searches_[m].converged();
    }
    return {};
  }

 private:
  using Key = std::pair<const std::int32_t*, double>;
  static Key key_of(const LogisticModel& model) { return {model.labels.data(), model.strength}; }

  /// Evaluates the active models, all in one go.
  Status pass(const std::vector<std::size_t>& active) {
    std::vector<StackedModel> stacked;
    for (const std::size_t m : active) stacked.push_back({&models_[m], &searches_[m].point()});
    LAYERSCOPE_ASSIGN(const LogisticStack stack, LogisticStack::pack(rows_, stacked));
    const auto size = static_cast<std::size_t>(rows_.columns());
    const std::size_t outputs = stack.columns();
    const TileChunks chunks(rows_.tiles(), sizeof(double) * size * outputs);
    sums_.resize(std::max(sums_.size(), chunks.count()));
    for (std::size_t chunk = 0; chunk < chunks.count(); ++chunk) sums_[chunk].assign(size * outputs, 0.0);
    std::vector<std::vector<double>> losses(chunks.count(), std::vector<double>(active.size()));
    while (workers_.size() < chunks.workers(options_.threads)) workers_.emplace_back(rows_);
    const auto work = [&](std::size_t chunk, std::size_t tile, std::size_t worker) -> Status {
      Worker& mine = workers_[worker];
      mine.scores.resize(static_cast<std::size_t>(ProbeRows::kTile) * outputs);
      mine.tile.load(tile);
      LAYERSCOPE_TRY(
          stack.multiply(rows_, mine.tile.rows(), mine.tile.count(), mine.scores.data(), mine.tile.scratch()));
      stack.residuals(rows_.tile(tile), parts_, mine.scores.data(), losses[chunk].data());
      return mine.tile.add_product(mine.scores.data(), outputs, sums_[chunk].data());
    };
    LAYERSCOPE_TRY(chunks.for_each(options_.threads, rows_.backend(), work));
    for (std::size_t chunk = 1; chunk < chunks.count(); ++chunk) {
      for (std::size_t i = 0; i < size * outputs; ++i) sums_[0][i] += sums_[chunk][i];
      for (std::size_t m = 0; m < active.size(); ++m) losses[0][m] += losses[chunk][m];
    }
    LAYERSCOPE_TRY(rebuild(active));
    return for_each_parallel(active.size(), all_cores(options_.threads), [&](std::size_t at) -> Status {
      tell(active[at], losses[0][at], stack.first(at), outputs);
      return {};
    });
  }

  /// The preconditioners that are due, at the point of the first model of each.
  Status rebuild(const std::vector<std::size_t>& active) {
    if (!rebuilds_) return {};
    std::vector<Key> seen;
    for (const std::size_t m : active) {
      const Key key = key_of(models_[m]);
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) continue;
      seen.push_back(key);
      Kin& kin = kin_.at(key);
      const int steps = searches_[m].steps();
      if (steps < kin.rebuild) continue;
      kin.rebuild = 2 * steps + 10;
      LAYERSCOPE_TRY(
          kin.preconditioner.rebuild(moments_, rows_, parts_, models_[m], searches_[m].point(), options_.threads));
      for (const std::size_t other : active) {
        if (key_of(models_[other]) == key) searches_[other].forget();
      }
    }
    return {};
  }

  void tell(std::size_t index, double loss, std::size_t first, std::size_t outputs) {
    const LogisticModel& model = models_[index];
    Lbfgs& search = searches_[index];
    const std::vector<double>& weights = search.point();
    const std::size_t columns = model.columns(), width = static_cast<std::size_t>(rows_.width());
    std::vector<double> gradient(weights.size());
    const double* const of_one = sums_[0].data() + width * outputs + first;
    const double penalty = 1 / (model.strength * model.rows);
    double squares = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const double mean = model.standard.mean[i], scale = model.standard.scale[i];
      const double* const from = sums_[0].data() + i * outputs + first;
      for (std::size_t k = 0; k < columns; ++k) {
        const double weight = weights[i * columns + k];
        gradient[i * columns + k] = (from[k] - mean * of_one[k]) / scale / model.rows + penalty * weight;
        squares += weight * weight;
      }
    }
    for (std::size_t k = 0; k < columns; ++k) gradient[width * columns + k] = of_one[k] / model.rows;
    const LogisticPreconditioner& preconditioner = kin_.at(key_of(model)).preconditioner;
    search.tell(loss / model.rows + 0.5 * penalty * squares, std::move(gradient),
                [&](std::vector<double>& g) { preconditioner.apply(model, g); });
  }

  const ProbeRows& rows_;
  Parts parts_;
  std::span<LogisticModel> models_;
  const std::vector<double>& moments_;
  const LogisticOptions& options_;
  std::vector<Lbfgs> searches_;
  std::map<Key, Kin> kin_;
  bool rebuilds_ = false;
  std::vector<Worker> workers_;
  std::vector<std::vector<double>> sums_;  // of each chunk
};

}  // namespace

LogisticModel logistic_model(const ProbeRows& rows, Parts parts, std::span<const RowSums> sums, std::uint64_t chosen,
                             std::span<const std::int32_t> labels, std::int32_t classes, double strength) {
  LogisticModel model;
  model.labels = labels;
  model.classes = classes;
  model.parts = chosen;
  model.strength = strength;
  model.class_rows.resize(static_cast<std::size_t>(classes));
  RowSums all(static_cast<std::size_t>(rows.width()));
  for (std::size_t part = 0; part < sums.size(); ++part) {
    if ((chosen >> part & 1) != 0) all.add(sums[part]);
  }
  model.standard = all.standard();
  model.rows = all.count;
  for (std::size_t tile = 0; tile < rows.tiles(); ++tile) {
    for (const std::int64_t row : rows.tile(tile)) {
      const auto number = static_cast<std::size_t>(row);
      if ((chosen >> parts[number] & 1) != 0) model.class_rows[static_cast<std::size_t>(labels[number])] += 1;
    }
  }
  const std::size_t columns = model.columns();
  model.weights.assign(static_cast<std::size_t>(rows.columns()) * columns, 0.0);
  double* const intercepts = model.weights.data() + model.weights.size() - columns;
  if (columns == 1) {
    intercepts[0] = std::log((model.class_rows[1] + 0.5) / (model.class_rows[0] + 0.5));
    return model;
  }
  double sum = 0, present = 0;
  for (std::size_t k = 0; k < columns; ++k) {
    if (model.class_rows[k] == 0) continue;
    sum += intercepts[k] = std::log(model.class_rows[k]);
    present += 1;
  }
  for (std::size_t k = 0; k < columns; ++k) {
    if (model.class_rows[k] > 0) intercepts[k] -= sum / present;
  }
  return model;
}

Status fit_logistic(const ProbeRows& rows, Parts parts, std::span<LogisticModel> models,
                    const LogisticOptions& options) {
  if (models.empty() || rows.count() == 0) return {};
  LAYERSCOPE_ASSIGN(const std::vector<double> moments, LogisticPreconditioner::moments(rows));
  const double bytes = kBytesAnUnknown * static_cast<double>(models[0].weights.size());
  const auto together = static_cast<std::size_t>(std::max(1.0, static_cast<double>(kMostBytes) / bytes));
  for (std::size_t first = 0; first < models.size(); first += together) {
    Fit fit(rows, parts, models.subspan(first, std::min(together, models.size() - first)), moments, options);
    LAYERSCOPE_TRY(fit.run());
  }
  return {};
}

Result<LogisticScores> score_logistic(const ProbeRows& rows, Parts parts, std::span<const LogisticModel> models,
                                      std::span<const std::uint64_t> held, std::span<std::int32_t* const> predicted,
                                      int threads) {
  std::vector<StackedModel> stacked;
  for (const LogisticModel& model : models) stacked.push_back({&model, &model.weights});
  LAYERSCOPE_ASSIGN(const LogisticStack stack, LogisticStack::pack(rows, stacked));
  const std::size_t outputs = stack.columns();
  const TileChunks chunks(rows.tiles(), sizeof(double) * models.size());
  std::vector<std::vector<double>> sums(chunks.count(), std::vector<double>(models.size()));
  std::vector<Worker> workers;
  while (workers.size() < chunks.workers(threads)) workers.emplace_back(rows);
  const auto work = [&](std::size_t chunk, std::size_t tile, std::size_t worker) -> Status {
    Worker& mine = workers[worker];
    mine.scores.resize(static_cast<std::size_t>(ProbeRows::kTile) * outputs);
    mine.tile.load(tile);
    LAYERSCOPE_TRY(stack.multiply(rows, mine.tile.rows(), mine.tile.count(), mine.scores.data(), mine.tile.scratch()));
    const std::span<const std::int64_t> numbers = rows.tile(tile);
    stack.probabilities(numbers, parts, held, mine.scores.data());
    for (std::size_t at = 0; at < numbers.size(); ++at) {
      const auto number = static_cast<std::size_t>(numbers[at]);
      for (std::size_t m = 0; m < models.size(); ++m) {
        if ((held[m] >> parts[number] & 1) == 0) continue;
        const LogisticModel& model = models[m];
        const float* const p = mine.scores.data() + at * outputs + stack.first(m);
        const std::int32_t label = model.labels[number];
        const bool two = model.classes == 2;
        const double told = two ? (label == 1 ? static_cast<double>(p[0]) : 1 - static_cast<double>(p[0]))
                                : static_cast<double>(p[label]);
        const double share = 1 / (1 + model.rows);
        sums[chunk][m] += std::log((1 - share) * told + share / model.classes);
        if (!predicted.empty())
          predicted[m][number] =
              two ? (p[0] > 0.5F ? 1 : 0) : static_cast<std::int32_t>(std::max_element(p, p + model.classes) - p);
      }
    }
    return {};
  };
  LAYERSCOPE_TRY(chunks.for_each(threads, rows.backend(), work));
  for (std::size_t chunk = 1; chunk < sums.size(); ++chunk) {
    for (std::size_t m = 0; m < models.size(); ++m) sums[0][m] += sums[chunk][m];
  }
  return LogisticScores{std::move(sums[0])};
}

}  // namespace layerscope
