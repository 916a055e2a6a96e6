// Eigenvalues of symmetric matrices.
#pragma once

#include <cstdint>
#include <vector>

namespace layerscope {

/// All eigenvalues of a symmetric matrix [size, size], ascending; `matrix` is used up, of which the lower triangle is
/// read. Off by a few units of rounding of the largest one. Householder's reduction to a tridiagonal matrix, then
/// bisection by Sturm counts (Golub and Van Loan, "Matrix Computations", 4th edition, algorithms 8.3.1 and 8.4.1).
[[nodiscard]] std::vector<double> symmetric_eigenvalues(std::vector<double> matrix, std::int64_t size);

/// exp of the entropy of singular values as shares of their sum (Roy and Vetterli 2007, "The effective rank: a measure
/// of effective dimensionality", definition 1), from their squares. Squares that rounding cannot tell from 0, those
/// below size * 2^-52 of the largest, count as 0. NaN where all are 0.
[[nodiscard]] double effective_rank(const std::vector<double>& squares);

}  // namespace layerscope
