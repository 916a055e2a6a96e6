// Products of the columns of two matrices, summed over rows in float64.
#pragma once

#include <cstdint>

namespace layerscope {

/// out[a, b] += sum over rows r of x[r, a] * y[r, b]: x [rows, x_width], y [rows, y_width], out [x_width, y_width], all
/// row-major. Rows are added one after the other, each product rounded before it is added: however the rows are cut
/// into calls, and on every machine, the bits are those of cross_products_reference.
void add_cross_products(const double* x, std::int64_t x_width, const double* y, std::int64_t y_width, std::int64_t rows,
                        double* out);

/// The same as plain loops: what add_cross_products is tested by.
void cross_products_reference(const double* x, std::int64_t x_width, const double* y, std::int64_t y_width,
                              std::int64_t rows, double* out);

}  // namespace layerscope
