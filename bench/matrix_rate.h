// What a model's matrix products alone reach: everything else is measured against this.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include "measure.h"
#include "random_model.h"

namespace layerscope::bench {

/// Seconds of the wall clock.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// FLOP/s of the model's own matrix shapes, so many workers, 256 rows, by the wall clock.
inline double matrix_rate(const Backend& backend, const ModelShape& shape, int workers) {
  std::vector<std::unique_ptr<PackedLinear>> weights;
  double operations = 0;
  for (const auto& [outputs, inputs] : shape.products()) {
    weights.push_back(random_linear(backend, inputs, outputs));
    operations += 2.0 * 256 * static_cast<double>(inputs * outputs);
  }
  const int repeats = std::max(4, static_cast<int>(4e10 / operations));
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const std::vector<double> seconds = on_workers(backend, workers, [&](int) {
      const auto scratch = backend.make_scratch();
      const Matrix in(backend.info().operand, 256, shape.hidden);
      Matrix out(DType::kF32, 256, 2 * shape.hidden + 2 * shape.width);
      const double begin = now();
      for (int i = 0; i < repeats; ++i) {
        for (const auto& linear : weights) {
          const MutableRows to{DType::kF32, out.bytes.data(), 256, linear->outputs, linear->outputs};
          (void)backend.linear(*linear, {in.dtype, in.bytes.data(), 256, linear->inputs, linear->inputs}, to, *scratch);
        }
      }
      return now() - begin;
    });
    best = std::max(best, workers * repeats * operations / *std::max_element(seconds.begin(), seconds.end()));
  }
  return best;
}

}  // namespace layerscope::bench
