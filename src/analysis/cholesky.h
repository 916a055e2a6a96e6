// Symmetric positive definite systems in float64, each sum in an order that depends on sizes alone.
#pragma once

#include <cstddef>
#include <vector>

namespace layerscope {

/// Sum of a[i] * b[i] in interleaved sums.
[[nodiscard]] double interleaved_dot(const double* a, const double* b, std::size_t count) noexcept;

/// The lower triangle of A = L L', in place; what stands above the diagonal is neither read nor written. False if A
/// [size, size] is not positive definite.
[[nodiscard]] bool cholesky_factorise(std::vector<double>& a, std::size_t size) noexcept;

/// L L' X = B for all columns of B [size, columns] at once, in place.
void cholesky_solve(const std::vector<double>& lower, std::size_t size, double* b, std::size_t columns) noexcept;
/// The same for one column, in less time.
void cholesky_solve(const std::vector<double>& lower, std::size_t size, double* b) noexcept;

}  // namespace layerscope
