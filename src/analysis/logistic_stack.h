// The models of a fit side by side: one product gives the scores of all.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "analysis/logistic.h"

namespace layerscope {

struct StackedModel {
  const LogisticModel* model = nullptr;
  const std::vector<double>* weights = nullptr;  ///< to be used instead of its own
};

class LogisticStack {
 public:
  [[nodiscard]] static Result<LogisticStack> pack(const ProbeRows& rows, std::span<const StackedModel> models);

  [[nodiscard]] std::size_t columns() const noexcept { return first_.back(); }
  [[nodiscard]] std::size_t first(std::size_t model) const noexcept { return first_[model]; }
  [[nodiscard]] std::size_t models() const noexcept { return models_.size(); }

  /// x [count, columns of rows] to scores [count, columns()].
  [[nodiscard]] Status multiply(const ProbeRows& rows, const float* x, std::int64_t count, float* scores,
                                Scratch& scratch) const;
  /// Scores [rows of the tile, columns()] become p - [class], 0 for rows that are not a model's; losses in nats are
  /// added to [models].
  void residuals(std::span<const std::int64_t> tile, Parts parts, float* scores, double* losses) const;
  /// Where `chosen` [models] names the part of a row: its scores become probabilities.
  void probabilities(std::span<const std::int64_t> tile, Parts parts, std::span<const std::uint64_t> chosen,
                     float* scores) const;

 private:
  std::vector<StackedModel> models_;
  std::vector<std::size_t> first_;
  std::shared_ptr<const PackedLinear> packed_;
};

}  // namespace layerscope
