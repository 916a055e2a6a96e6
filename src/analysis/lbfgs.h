// Minimising a smooth convex function of which value and gradient are asked for one point at a time: so that many
// functions can be evaluated in one pass over data that they share.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <vector>

namespace layerscope {

/// When a minimisation ends.
struct LbfgsLimits {
  double move = 1e-5;  ///< the greatest change of an unknown that the next step would make
  double gain = 0;     ///< the fall of the function that is left, as the quadratic model sees it
  int evaluations = 500;
};

/// Limited-memory BFGS (Nocedal and Wright 2006, Numerical Optimization, algorithms 7.4 and 7.5) with a preconditioner
/// as its first guess of the inverse Hessian, and backtracking. Steps end at the sufficient decrease or, where that
/// drowns in rounding, at the approximate Wolfe condition (Hager and Zhang 2005).
class Lbfgs {
 public:
  /// g becomes B g, in place; B symmetric and positive definite (on the space that the gradients span).
  using Precondition = std::function<void(std::vector<double>& g)>;

  Lbfgs(std::vector<double> start, const LbfgsLimits& limits);

  /// Where value and gradient are wanted next; the best point once done().
  [[nodiscard]] const std::vector<double>& point() const noexcept { return point_; }
  void tell(double value, std::vector<double> gradient, const Precondition& precondition);
  /// To be called when the preconditioner changes: what was learnt on top of the old one is dropped.
  void forget() noexcept { pairs_.clear(); }

  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] bool converged() const noexcept { return converged_; }
  [[nodiscard]] int steps() const noexcept { return steps_; }

 private:
  struct Pair {
    std::vector<double> s, y;
    double rho = 0;
  };

  [[nodiscard]] bool acceptable(double value, const std::vector<double>& gradient) const noexcept;
  void shorten(double value, const Precondition& precondition);
  void choose_direction(const Precondition& precondition);
  void try_length(double length);
  void finish(bool converged);

  LbfgsLimits limits_;
  std::vector<double> point_, x_, gradient_, direction_;
  double value_ = 0, slope_ = 0, length_ = 1;
  std::deque<Pair> pairs_;
  int evaluations_ = 0, steps_ = 0, shortened_ = 0;
  bool done_ = false, converged_ = false;
};

}  // namespace layerscope
