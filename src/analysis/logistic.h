// Logistic regression by maximum likelihood with an L2 penalty: many models that share their rows, fitted together.
//
// A model minimises  mean over its rows of -log p(class) + |W|^2 / (2 C rows)  with p = softmax(W x + b), or for two
// classes p = sigmoid(w x + b): the objective of sklearn.linear_model.LogisticRegression(C), intercepts free
// (scikit-learn 1.7, linear_model/_logistic.py). x is standardised by the model's own rows.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "analysis/lbfgs.h"
#include "analysis/probe_rows.h"

namespace layerscope {

struct LogisticModel {
  std::span<const std::int32_t>
      labels;  ///< by row index through the blocks; classes of the model's rows are not negative
  std::int32_t classes = 2;
  std::uint64_t parts = 0;         ///< bit p: the rows of part p are the model's
  double strength = 1;             ///< C
  Standard standard;               ///< of the model's rows, as ProbeRows gives them
  double rows = 0;                 ///< that it learns from
  std::vector<double> class_rows;  ///< of each class, among them; a class without rows has the probability 0
  std::vector<double> weights;     ///< [columns of ProbeRows, columns()], the last row intercepts; in: where to start
  bool converged = false;

  /// Outputs: classes, or one for two of them.
  [[nodiscard]] std::size_t columns() const noexcept { return classes == 2 ? 1 : static_cast<std::size_t>(classes); }
};

/// A row's part, at most kMostParts of them, by row index through the blocks.
using Parts = std::span<const std::uint8_t>;
inline constexpr std::size_t kMostParts = 64;

/// A model of these parts, at the start: weights 0, intercepts those of the classes' shares. `sums`: of each part, of
/// rows as `rows` gives them now.
[[nodiscard]] LogisticModel logistic_model(const ProbeRows& rows, Parts parts, std::span<const RowSums> sums,
                                           std::uint64_t chosen, std::span<const std::int32_t> labels,
                                           std::int32_t classes, double strength);

struct LogisticOptions {
  LbfgsLimits limits;
  int threads = 0;
  std::function<bool()> stop = {};
};

/// Fits all models. Products are the backend's, in float32; sums over tiles are float64, in the order of tiles.
/// Errors: kResource; kCancelled.
[[nodiscard]] Status fit_logistic(const ProbeRows& rows, Parts parts, std::span<LogisticModel> models,
                                  const LogisticOptions& options);

/// What models say of rows they have not seen.
struct LogisticScores {
  std::vector<double> log_likelihood;  ///< of each model, in nats, over its rows `held`
};
/// `held`: per model, the parts to be scored. p becomes (1 - share) p + share / classes, share = 1 / (1 + the model's
/// rows): what a class that the model has never seen costs is bounded. `predicted` is empty or has a list by row index
/// a model, of which the rows scored are written; several models may share one.
[[nodiscard]] Result<LogisticScores> score_logistic(const ProbeRows& rows, Parts parts,
                                                    std::span<const LogisticModel> models,
                                                    std::span<const std::uint64_t> held,
                                                    std::span<std::int32_t* const> predicted, int threads);

/// The same fit by Newton's method with plain float64 loops over x [rows of `labels`, width], standardised: returns
/// weights as LogisticModel has them. What fit_logistic means.
[[nodiscard]] std::vector<double> fit_logistic_reference(std::span<const double> x,
                                                         std::span<const std::int32_t> labels, std::int32_t classes,
                                                         double strength);

}  // namespace layerscope
