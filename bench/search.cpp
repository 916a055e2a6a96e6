// layerscope_bench_search [ISA]: exact search over 100,000 vectors of 384 elements as a share of what binds it: the
// rate of the matrix products alone for many queries, of reading memory for few. All times are processor time of two
// workers.
#include <cstdio>
#include <numeric>
#include <string>

#include "analysis/nearest.h"
#include "measure.h"

namespace layerscope::bench {
namespace {

constexpr std::int64_t kVectors = 100'000, kWidth = 384, kTile = 256;
constexpr int kWorkers = 2;

double process_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Processor seconds that one worker of several spends on its share of a call, the best of some rounds.
double worker_seconds(const std::function<void()>& call) {
  call();
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < 5; ++round) {
    const double start = process_seconds();
    call();
    best = std::min(best, (process_seconds() - start) / kWorkers);
  }
  return best;
}

/// GFLOP/s of all workers, tiles of the vectors against as many outputs as a search multiplies at once.
double matrix_rate(const Backend& backend, const Matrix& vectors) {
  const auto linear = random_linear(backend, kWidth, kTile);
  const auto seconds = on_workers(backend, kWorkers, [&](int worker) {
    Matrix out(DType::kF32, kTile, kTile);
    const auto scratch = backend.make_scratch();
    return seconds_of([&] { (void)backend.linear(*linear, vectors.view(worker * kTile, kTile), out.to(), *scratch); });
  });
  double rate = 0;
  for (const double each : seconds) rate += 2.0 * static_cast<double>(kTile * kTile * kWidth) / each * 1e-9;
  return rate;
}

/// GB/s of all workers that read the vectors and add up their words.
double read_rate(const Backend& backend, const Matrix& vectors) {
  const std::size_t words = vectors.bytes.size() / sizeof(std::uint64_t) / kWorkers;
  const auto* const data = reinterpret_cast<const std::uint64_t*>(vectors.bytes.data());
  std::vector<std::uint64_t> sums(kWorkers);
  const double seconds = worker_seconds([&] {
    (void)on_workers(backend, kWorkers, [&](int worker) {
      const auto* const from = data + static_cast<std::size_t>(worker) * words;
      sums[static_cast<std::size_t>(worker)] += std::accumulate(from, from + words, std::uint64_t{0});
      return 0.0;
    });
  });
  if (sums[0] == 1) std::printf("\n");  // keeps the sums
  return static_cast<double>(vectors.bytes.size()) / seconds * 1e-9;
}

int run(const std::string& isa) {
  const auto made = make_cpu_backend({Precision::kF32, isa});
  if (!made.ok()) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    return 2;
  }
  const Backend& backend = **made;
  const Matrix vectors(DType::kF32, kVectors, kWidth);
  const Matrix queries(DType::kF32, 1000, kWidth);
  const VectorBlock block{.values = vectors.view(), .numbers = {}};
  const double matrix = matrix_rate(backend, vectors), memory = read_rate(backend, vectors);
  std::printf("%s, %s: %.0f GFLOP/s, %.1f GB/s\n", backend.info().isa.c_str(), backend.info().library.c_str(), matrix,
              memory);
  for (const Metric metric : {Metric::kCosine, Metric::kDot, Metric::kEuclidean}) {
    const auto search = NearestRows::open({std::span(&block, 1), kWidth}, {metric, 10, kWorkers, isa});
    if (!search.ok()) return 2;
    for (const std::int64_t count : {1, 16, 100, 1000}) {
      const std::span<const float> asked(reinterpret_cast<const float*>(queries.bytes.data()),
                                         static_cast<std::size_t>(count * kWidth));
      bool good = true;
      const double seconds = worker_seconds([&] { good = (*search)->find(asked).ok() && good; });
      if (!good) return 2;
      const double of_matrix = 2e-9 * static_cast<double>(kVectors * kWidth * count) / matrix / seconds;
      const double of_memory = 1e-9 * static_cast<double>(vectors.bytes.size()) / memory / seconds;
      std::printf("  %-10s %5lld queries  %8.2f ms  %.2f of the matrix rate, %.2f of the read rate\n",
                  std::string(kMetricNames[static_cast<std::size_t>(metric)]).c_str(), static_cast<long long>(count),
                  1e3 * seconds, of_matrix, of_memory);
    }
  }
  return 0;
}

}  // namespace
}  // namespace layerscope::bench

int main(int argc, char** argv) { return layerscope::bench::run(argc > 1 ? argv[1] : ""); }
