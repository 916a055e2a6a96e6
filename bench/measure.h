// Measuring beside other work: time is the thread's own processor time, and the best of several rounds counts.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "backend/backend.h"
#include "kernels/scalar.h"

namespace layerscope::bench {

inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Processor seconds of one call, the best of `rounds`; a round repeats the call for about 10 ms.
inline double seconds_of(const std::function<void()>& call, int rounds = 7) {
  call();
  double start = thread_seconds();
  call();
  const double once = std::max(thread_seconds() - start, 1e-7);
  const int repeats = std::max(1, static_cast<int>(0.01 / once));
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < rounds; ++round) {
    start = thread_seconds();
    for (int i = 0; i < repeats; ++i) call();
    best = std::min(best, (thread_seconds() - start) / repeats);
  }
  return best;
}

/// Rows of random numbers with their memory.
struct Matrix {
  Matrix(DType type, std::int64_t count, std::int64_t wide, float deviation = 1)
      : dtype(type), rows(count), width(wide), bytes(static_cast<std::size_t>(count * wide) * dtype_size(type)) {
    std::mt19937 generator(static_cast<unsigned>(count * 31 + wide));
    std::normal_distribution<float> normal(0, deviation);
    for (std::int64_t i = 0; i < count * wide; ++i) store_element(type, bytes.data(), i, normal(generator));
  }
  [[nodiscard]] RowsView view(std::int64_t first, std::int64_t count) const {
    return {dtype, bytes.data() + first * width * static_cast<std::int64_t>(dtype_size(dtype)), count, width, width};
  }
  [[nodiscard]] RowsView view() const { return view(0, rows); }
  [[nodiscard]] RowsView columns(std::int64_t row, std::int64_t count, std::int64_t first, std::int64_t wide) const {
    return {dtype, bytes.data() + (row * width + first) * static_cast<std::int64_t>(dtype_size(dtype)), count, wide,
            width};
  }
  [[nodiscard]] MutableRows to() { return {dtype, bytes.data(), rows, width, width}; }
  [[nodiscard]] MutableRows to(std::int64_t first, std::int64_t count) {
    return {dtype, bytes.data() + first * width * static_cast<std::int64_t>(dtype_size(dtype)), count, width, width};
  }
  DType dtype;
  std::int64_t rows, width;
  std::vector<std::byte> bytes;
};

inline std::unique_ptr<PackedLinear> random_linear(const Backend& backend, std::int64_t inputs, std::int64_t outputs,
                                                   Activation activation = Activation::kNone) {
  const Matrix weights(DType::kF32, outputs, inputs, 0.03F);
  const std::vector<float> bias(static_cast<std::size_t>(outputs), 0.1F);
  const MatrixView view{DType::kF32, weights.bytes.data(), outputs, inputs, inputs, 1};
  auto packed = backend.pack(std::span(&view, 1), bias, activation);
  return packed.ok() ? std::move(packed).value() : nullptr;
}

/// work(worker) on `count` threads at a time; returns what each measured.
inline std::vector<double> on_workers(const Backend& backend, int count, const std::function<double(int)>& work) {
  std::vector<double> results(static_cast<std::size_t>(count));
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      backend.enter_worker();
      results[static_cast<std::size_t>(i)] = work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

struct MatrixShape {
  const char* model;
  std::int64_t inputs, outputs;
};
inline constexpr MatrixShape kMatrixShapes[] = {
    {"BERT-base", 768, 2304}, {"BERT-base", 768, 768}, {"BERT-base", 768, 3072}, {"BERT-base", 3072, 768},
    {"MiniLM", 384, 1152},    {"MiniLM", 384, 384},    {"MiniLM", 384, 1536},    {"MiniLM", 1536, 384}};

}  // namespace layerscope::bench
