// A guess of the inverse Hessian for models that are alike: with the same labels and the same strength.
//
// At first every class has the second moments of the rows, divided by its share (the Hessian at weights 0 is
// (diag(p) - p p') x X'X). Later every class has its own, X' diag(p (1 - p)) X on a sample of tiles at the point
// reached so far: the diagonal blocks of the Hessian, and with them several times fewer passes over the rows.
#pragma once

#include <vector>

#include "analysis/gram.h"
#include "analysis/logistic_stack.h"

namespace layerscope {

class LogisticPreconditioner {
 public:
  /// Tiles of the sample at most.
  static constexpr std::size_t kSampleTiles = 12;

  /// X'X / rows of a sample, [columns, columns].
  [[nodiscard]] static Result<std::vector<double>> moments(const ProbeRows& rows);

  /// `alike`: any of the models.
  LogisticPreconditioner(const std::vector<double>& moments, const ProbeRows& rows, const LogisticModel& alike);

  /// Blocks at `weights` of `model`.
  [[nodiscard]] Status rebuild(const std::vector<double>& moments, const ProbeRows& rows, Parts parts,
                               const LogisticModel& model, const std::vector<double>& weights, int threads);
  /// gradient [columns, model.columns()] becomes a direction, in place.
  void apply(const LogisticModel& model, std::vector<double>& gradient) const;

 private:
  std::size_t size_;
  std::vector<double> common_;               // Cholesky factor
  std::vector<std::vector<double>> blocks_;  // of each output's; empty before rebuild()
};

}  // namespace layerscope
