// What the kernels' tests share: rows of random numbers, and how far two results lie apart.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "kernels/reference.h"
#include "kernels/scalar.h"

namespace layerscope::testing_support {

/// Rows that own their memory. What lies between width and stride is a pattern that must survive.
struct Rows {
  Rows(DType type, std::int64_t count, std::int64_t wide, std::int64_t gap = 0)
      : dtype(type),
        rows(count),
        width(wide),
        stride(wide + gap),
        bytes(static_cast<std::size_t>(count * (wide + gap)) * dtype_size(type), std::byte{0x5A}) {}
  [[nodiscard]] RowsView view() const { return {dtype, bytes.data(), rows, width, stride}; }
  [[nodiscard]] MutableRows mutable_view() { return {dtype, bytes.data(), rows, width, stride}; }
  [[nodiscard]] RowsView slice(std::int64_t first, std::int64_t count) const {
    return {dtype, bytes.data() + first * stride * static_cast<std::int64_t>(dtype_size(dtype)), count, width, stride};
  }
  [[nodiscard]] double at(std::int64_t row, std::int64_t column) const {
    return reference::load<double>(view(), row, column);
  }
  void set(std::int64_t row, std::int64_t column, double value) {
    reference::store(mutable_view(), row, column, value);
  }
  [[nodiscard]] bool gaps_intact() const {
    const std::size_t size = dtype_size(dtype);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::size_t i = static_cast<std::size_t>(row * stride + width) * size;
           i < static_cast<std::size_t>((row + 1) * stride) * size; ++i) {
        if (bytes[i] != std::byte{0x5A}) return false;
      }
    }
    return true;
  }
  DType dtype;
  std::int64_t rows, width, stride;
  std::vector<std::byte> bytes;
};

inline Rows random_rows(DType dtype, std::int64_t rows, std::int64_t width, unsigned seed, std::int64_t gap = 0,
                        double mean = 0, double deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(mean, deviation);
  Rows result(dtype, rows, width, gap);
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < width; ++j) result.set(i, j, normal(generator));
  }
  return result;
}

inline std::vector<float> random_floats(std::int64_t count, unsigned seed, float mean = 0) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(mean, 1);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

/// |a - b| / |b| over all elements.
inline double relative_l2(const Rows& a, const Rows& b) {
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < b.rows; ++i) {
    for (std::int64_t j = 0; j < b.width; ++j) {
      const double x = a.at(i, j), y = b.at(i, j);
      difference += (x - y) * (x - y);
      norm += y * y;
    }
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// Rounding errors that a result of this type may have: a few units in the last place of f32, at most 2^-8 of an
/// element of bf16.
inline double tolerance(DType dtype) { return dtype == DType::kBF16 ? 4e-3 : 5e-7; }

inline bool same_bytes(const Rows& a, std::int64_t a_row, const Rows& b, std::int64_t b_row) {
  const std::size_t size = dtype_size(a.dtype), width = static_cast<std::size_t>(a.width) * size;
  return std::memcmp(a.bytes.data() + static_cast<std::size_t>(a_row * a.stride) * size,
                     b.bytes.data() + static_cast<std::size_t>(b_row * b.stride) * size, width) == 0;
}

/// Every instruction set of this machine in both precisions.
struct Kind {
  std::string isa;
  Precision precision;
};
inline std::vector<Kind> all_kinds() {
  std::vector<Kind> kinds;
  for (const std::string& isa : cpu_isas()) {
    kinds.push_back({isa, Precision::kF32});
    kinds.push_back({isa, Precision::kBF16});
  }
  return kinds;
}
inline void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.isa << (kind.precision == Precision::kBF16 ? "/bf16" : "/f32");
}

class EveryBackend : public ::testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    auto made = make_cpu_backend({GetParam().precision, GetParam().isa});
    ASSERT_TRUE(made.ok()) << made.error().message;
    backend = std::move(made).value();
    backend->enter_worker();
    scratch = backend->make_scratch();
    operand = backend->info().operand;
  }
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Scratch> scratch;
  DType operand = DType::kF32;
};

inline std::string kind_name(const ::testing::TestParamInfo<Kind>& info) {
  return info.param.isa + (info.param.precision == Precision::kBF16 ? "_bf16" : "_f32");
}

}  // namespace layerscope::testing_support
