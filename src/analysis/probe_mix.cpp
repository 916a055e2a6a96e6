// A learned scalar mix of layers (Peters et al. 2018), trained together with the probe that reads it.
//
// Unknowns: the probe's weights W and intercepts, s with weights = softmax(s), gamma. Layers are standardised by the
// training rows each. Minimised is the probe's loss with its penalty, which s and gamma - 1 share: without one gamma
// would grow for ever while W shrinks.
#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "analysis/cholesky.h"
#include "analysis/gram.h"
#include "analysis/logistic_precondition.h"
#include "analysis/logistic_stack.h"
#include "analysis/probe_state.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr LbfgsLimits kLimits{.move = 1e-4, .gain = 1e-6, .evaluations = 150};

std::vector<double> softmax(std::span<const double> scores) {
  std::vector<double> weights(scores.begin(), scores.end());
  const double most = *std::max_element(weights.begin(), weights.end());
  double sum = 0;
  for (double& weight : weights) sum += weight = std::exp(weight - most);
  for (double& weight : weights) weight /= sum;
  return weights;
}

class MixFit {
 public:
  MixFit(const ProbeTask::State& task, std::vector<ProbeRows>& layers, LogisticModel model)
      : task_(task), layers_(layers), model_(std::move(model)) {}

  /// Leaves the mix in `mix` and the probe in model().
  Status run(LayerMix& mix) {
    std::vector<double> start = model_.weights;
    start.resize(start.size() + layers_.size(), 0.0);
    start.push_back(1);
    LAYERSCOPE_ASSIGN(const std::vector<double> moments, mean_moments());
    const LogisticPreconditioner preconditioner(moments, layers_[0], model_);
    Lbfgs search(std::move(start), kLimits);
    while (!search.done()) {
      LAYERSCOPE_TRY(task_.go_on());
      place(search.point(), mix);
      double value = 0;
      std::vector<double> gradient;
      LAYERSCOPE_TRY(evaluate(search.point(), mix, value, gradient));
      search.tell(value, std::move(gradient), [&](std::vector<double>& g) {
        std::vector<double> of_probe(g.begin(), g.begin() + static_cast<std::ptrdiff_t>(model_.weights.size()));
        preconditioner.apply(model_, of_probe);
        std::copy(of_probe.begin(), of_probe.end(), g.begin());
      });
    }
    place(search.point(), mix);
    return {};
  }
  [[nodiscard]] const LogisticModel& model() const noexcept { return model_; }

  /// Classes of the rows of `parts`, into `predicted` by row index.
  Status predict(const LayerMix& mix, std::uint64_t parts, std::vector<std::int32_t>& predicted) {
    model_.parts = parts;
    const StackedModel only{&model_, &model_.weights};
    LAYERSCOPE_ASSIGN(const LogisticStack stack, LogisticStack::pack(layers_[0], std::span(&only, 1)));
    Worker worker(layers_);
    for (std::size_t index = 0; index < layers_[0].tiles(); ++index) {
      LAYERSCOPE_TRY(worker.score(layers_, mix, stack, index));
      const std::span<const std::int64_t> numbers = layers_[0].tile(index);
      for (std::size_t at = 0; at < numbers.size(); ++at) {
        const float* const z = worker.scores.data() + at * stack.columns();
        predicted[static_cast<std::size_t>(numbers[at])] =
            stack.columns() == 1 ? (z[0] > 0 ? 1 : 0)
                                 : static_cast<std::int32_t>(std::max_element(z, z + stack.columns()) - z);
      }
    }
    return {};
  }

 private:
  struct Worker {
    std::vector<RowTile> tiles;  // of each layer
    std::vector<float> mixed, scores;
    explicit Worker(const std::vector<ProbeRows>& layers) {
      for (const ProbeRows& layer : layers) tiles.emplace_back(layer);
    }
    Status score(const std::vector<ProbeRows>& layers, const LayerMix& mix, const LogisticStack& stack,
                 std::size_t index) {
      const auto columns = static_cast<std::size_t>(layers[0].columns());
      mixed.assign(static_cast<std::size_t>(ProbeRows::kTile) * columns, 0.0F);
      for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        tiles[layer].load(index);
        const auto factor = static_cast<float>(mix.gamma * mix.weights[layer]);
        const float* const from = tiles[layer].rows();
        float* const to = mixed.data();
        for (std::size_t i = 0; i < mixed.size(); ++i) to[i] += factor * from[i];
      }
      for (std::int64_t row = 0; row < tiles[0].count(); ++row)
        mixed[static_cast<std::size_t>(row + 1) * columns - 1] = 1;
      scores.resize(static_cast<std::size_t>(ProbeRows::kTile) * stack.columns());
      return stack.multiply(layers[0], mixed.data(), tiles[0].count(), scores.data(), tiles[0].scratch());
    }
  };

  void place(const std::vector<double>& point, LayerMix& mix) {
    const std::size_t of_probe = model_.weights.size();
    std::copy_n(point.begin(), of_probe, model_.weights.begin());
    mix.weights = softmax(std::span(point).subspan(of_probe, layers_.size()));
    mix.gamma = point.back();
  }

  Result<std::vector<double>> mean_moments() {
    std::vector<double> sum;
    for (const ProbeRows& layer : layers_) {
      LAYERSCOPE_ASSIGN(const std::vector<double> moments, LogisticPreconditioner::moments(layer));
      sum.resize(moments.size());
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += moments[i] / static_cast<double>(layers_.size());
    }
    return sum;
  }

  Status evaluate(const std::vector<double>& point, const LayerMix& mix, double& value, std::vector<double>& gradient) {
    const StackedModel only{&model_, &model_.weights};
    LAYERSCOPE_ASSIGN(const LogisticStack stack, LogisticStack::pack(layers_[0], std::span(&only, 1)));
    const std::size_t outputs = stack.columns(), size = model_.weights.size(), count = layers_.size();
    const TileChunks chunks(layers_[0].tiles(), sizeof(double) * size * count);
    // X'R of each layer: the gradients of W, s and gamma are sums over these.
    std::vector<std::vector<double>> sums(chunks.count(), std::vector<double>(size * count));
    std::vector<double> losses(chunks.count());
    while (workers_.size() < chunks.workers(task_.options.threads)) workers_.emplace_back(layers_);
    const auto work = [&](std::size_t chunk, std::size_t index, std::size_t number) -> Status {
      Worker& worker = workers_[number];
      LAYERSCOPE_TRY(worker.score(layers_, mix, stack, index));
      stack.residuals(layers_[0].tile(index), task_.folds.of_row, worker.scores.data(), &losses[chunk]);
      for (std::size_t layer = 0; layer < count; ++layer)
        LAYERSCOPE_TRY(
            worker.tiles[layer].add_product(worker.scores.data(), outputs, sums[chunk].data() + layer * size));
      return {};
    };
    LAYERSCOPE_TRY(chunks.for_each(task_.options.threads, *task_.backend, work));
    for (std::size_t chunk = 1; chunk < sums.size(); ++chunk) {
      for (std::size_t i = 0; i < sums[0].size(); ++i) sums[0][i] += sums[chunk][i];
      losses[0] += losses[chunk];
    }
    const std::size_t width = size - outputs;  // weights without intercepts
    const double penalty = 1 / (model_.strength * model_.rows);
    gradient.assign(point.size(), 0.0);
    std::vector<double> slopes(count);  // of the loss in gamma * weights
    for (std::size_t layer = 0; layer < count; ++layer) {
      const double* const of_layer = sums[0].data() + layer * size;
      for (std::size_t i = 0; i < width; ++i) gradient[i] += mix.gamma * mix.weights[layer] * of_layer[i] / model_.rows;
      slopes[layer] = interleaved_dot(of_layer, point.data(), width) / model_.rows;
    }
    std::copy_n(sums[0].begin() + static_cast<std::ptrdiff_t>(width), outputs,
                gradient.begin() + static_cast<std::ptrdiff_t>(width));
    for (std::size_t k = 0; k < outputs; ++k) gradient[width + k] /= model_.rows;
    const double mean = interleaved_dot(slopes.data(), mix.weights.data(), count);
    for (std::size_t layer = 0; layer < count; ++layer)
      gradient[size + layer] = mix.gamma * mix.weights[layer] * (slopes[layer] - mean) + penalty * point[size + layer];
    gradient.back() = mean + penalty * (mix.gamma - 1);
    double squares =
        interleaved_dot(point.data() + size, point.data() + size, count) + (mix.gamma - 1) * (mix.gamma - 1);
    for (std::size_t i = 0; i < width; ++i) {
      gradient[i] += penalty * point[i];
      squares += point[i] * point[i];
    }
    value = losses[0] / model_.rows + 0.5 * penalty * squares;
    return {};
  }

  const ProbeTask::State& task_;
  std::vector<ProbeRows>& layers_;
  LogisticModel model_;
  std::vector<Worker> workers_;
};

}  // namespace

Result<LayerMix> ProbeTask::mix(std::span<const VectorSet> layers, std::int64_t mix_rows) const try {
  const State& task = *state_;
  if (task.class_count == 0) return Error{ErrorCode::kUsage, "a mix of layers is learnt for classes, not for numbers"};
  if (layers.empty() || mix_rows < 1) return Error{ErrorCode::kUsage, "a mix needs layers and rows"};
  task.backend->enter_worker();
  std::vector<ProbeRows> rows;
  std::vector<std::int64_t> sample = first_rows(task.groups, task.order, mix_rows), held;
  std::erase_if(sample, [&](std::int64_t row) {
    const bool out = task.folds.of_row[static_cast<std::size_t>(row)] / 2 == 0;
    if (out) held.push_back(row);
    return out;
  });
  if (sample.empty() || held.empty())
    return Error{ErrorCode::kUsage, "the rows for a mix are too few to learn from and to hold out"};
  std::vector<Standard> standards;
  std::vector<RowSums> sums;
  for (const VectorSet& layer : layers) {
    LAYERSCOPE_TRY(task.check(layer));
    if (layer.width != layers[0].width) return Error{ErrorCode::kUsage, "a mix needs layers of one width"};
    ProbeRows& of_layer = rows.emplace_back(*task.backend, layer, sample);
    LAYERSCOPE_ASSIGN(sums, sum_parts(of_layer, task.folds.of_row, task.folds.parts(), task.options.threads));
    RowSums all(static_cast<std::size_t>(layer.width));
    for (const RowSums& part : sums) all.add(part);
    of_layer.set_standard(all.standard());
  }
  const std::uint64_t mask = task.folds.others(0);
  LogisticModel model =
      logistic_model(rows[0], task.folds.of_row, sums, mask, task.classes, task.class_count, task.usual_strength());
  // Layers come standardised already.
  std::fill(model.standard.mean.begin(), model.standard.mean.end(), 0.0);
  std::fill(model.standard.scale.begin(), model.standard.scale.end(), 1.0);
  MixFit fit(task, rows, std::move(model));
  LayerMix mix;
  LAYERSCOPE_TRY(fit.run(mix));

  std::vector<ProbeRows> asked;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    asked.emplace_back(*task.backend, layers[layer], held);
    asked.back().set_standard(rows[layer].standard());
  }
  std::vector<std::int32_t> predicted(task.all_rows, kUnlabelled);
  MixFit of_held(task, asked, fit.model());
  LAYERSCOPE_TRY(of_held.predict(mix, ProbeParts::both(0), predicted));
  std::vector<std::int64_t> given(task.all_rows);
  for (const std::int64_t row : held)
    given[static_cast<std::size_t>(row)] = task.groups.of_row[static_cast<std::size_t>(row)];
  LAYERSCOPE_ASSIGN(mix.score, score_classes(task.options.metric, number_groups(held, given, task.all_rows),
                                             task.classes, predicted, task.class_count, task.bootstrap()));
  return mix;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while a mix of layers was learnt"};
}

}  // namespace layerscope
