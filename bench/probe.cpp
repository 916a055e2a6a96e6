// layerscope_bench_probe [ROWS [LAYERS [THREADS]]]: probes of 17 classes over layers of 384 elements, with the control
// task and online coding, five folds: wall time and the greatest anonymous memory. Rows lie in a mapped file, as a
// run's do: words by Zipf's law that mostly decide the class, and neighbours that blur it, all mixed by one matrix.
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "analysis/probe.h"
#include "analysis/random.h"
#include "base/parallel.h"
#include "measure.h"

namespace layerscope::bench {
namespace {

constexpr std::int64_t kWidth = 384, kSentence = 20;
constexpr std::uint64_t kWords = 30'000;
constexpr std::int32_t kClasses = 17;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double anonymous_gigabytes() {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = 0;
  while (file != nullptr && std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, "RssAnon:", 8) == 0) kilobytes = std::atof(line + 8);
  }
  if (file != nullptr) std::fclose(file);
  return kilobytes / 1e6;
}

struct Text {
  std::vector<std::int32_t> classes;
  std::vector<std::int64_t> sentences, words;
  explicit Text(std::int64_t rows) {
    SplitMix64 random(1);
    for (std::int64_t row = 0; row < rows; ++row) {
      const double u = random.unit();
      const auto word = static_cast<std::int64_t>(std::pow(static_cast<double>(kWords), u)) - 1;
      const bool usual = random.unit() < 0.9;
      const auto usual_class = static_cast<std::int32_t>(SplitMix64(static_cast<std::uint64_t>(word)).below(kClasses));
      classes.push_back(usual ? usual_class : static_cast<std::int32_t>(random.below(kClasses)));
      sentences.push_back(row / kSentence);
      words.push_back(word);
    }
  }
};

/// [rows, kWidth] float32 in a file that has no name any more.
float* mapped_file(std::int64_t rows) {
  std::string name = std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + "/probeXXXXXX";
  const int file = mkstemp(name.data());
  const std::size_t bytes = static_cast<std::size_t>(rows * kWidth) * sizeof(float);
  if (file < 0 || unlink(name.c_str()) != 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) return nullptr;
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  return memory == MAP_FAILED ? nullptr : static_cast<float*>(memory);
}

void write_layer(const Backend& backend, const Text& text, double blur, float* to) {
  const auto mix = random_linear(backend, kWidth, kWidth);
  const auto rows = static_cast<std::int64_t>(text.words.size());
  constexpr std::int64_t kTile = 1000;
  (void)for_each_parallel(static_cast<std::size_t>((rows + kTile - 1) / kTile), 2, [&](std::size_t tile) -> Status {
    backend.enter_worker();
    const auto scratch = backend.make_scratch();
    const std::int64_t first = static_cast<std::int64_t>(tile) * kTile, count = std::min(kTile, rows - first);
    std::vector<float> plain(static_cast<std::size_t>(count * kWidth));
    SplitMix64 noise(tile + 77);
    for (std::int64_t row = 0; row < count; ++row) {
      const auto at = static_cast<std::size_t>(first + row);
      SplitMix64 word(static_cast<std::uint64_t>(text.words[at]) + 1000),
          kind(static_cast<std::uint64_t>(text.classes[at]));
      for (std::int64_t i = 0; i < kWidth; ++i) {
        const double size = 3 / std::sqrt(1.0 + static_cast<double>(i));
        plain[static_cast<std::size_t>(row * kWidth + i)] = static_cast<float>(
            size * (word.unit() + 0.06 * kind.unit() + blur * (noise.unit() + noise.unit() - 1)) + 0.5);
      }
    }
    return backend.linear(*mix, {DType::kF32, reinterpret_cast<const std::byte*>(plain.data()), count, kWidth, kWidth},
                          {DType::kF32, reinterpret_cast<std::byte*>(to + first * kWidth), count, kWidth, kWidth},
                          *scratch);
  });
}

int run(std::int64_t rows, int layers, int threads) {
  const auto backend = make_cpu_backend({});
  float* const states = mapped_file(rows);
  if (!backend.ok() || states == nullptr) return 2;
  const Text text(rows);
  const double before = anonymous_gigabytes();
  std::atomic<double> most{before};
  std::jthread watch([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      most = std::max(most.load(), anonymous_gigabytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  });
  double total = 0;
  ProbeOptions options;
  options.threads = threads;
  double start = now();
  const auto task = ProbeTask::make(
      {.classes = text.classes, .class_count = kClasses, .targets = {}, .groups = text.sentences, .types = text.words},
      options);
  if (!task.ok()) return 2;
  total += now() - start;
  for (int layer = 0; layer < layers; ++layer) {
    write_layer(**backend, text, 0.5 + 0.2 * layer, states);
    const VectorBlock block{.values = {DType::kF32, reinterpret_cast<const std::byte*>(states), rows, kWidth, kWidth},
                            .numbers = {}};
    const double cpu = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
    start = now();
    const auto probe = (*task)->run({std::span(&block, 1), kWidth});
    if (!probe.ok()) {
      std::fprintf(stderr, "%s\n", probe.error().message.c_str());
      return 1;
    }
    const double seconds = now() - start;
    total += seconds;
    std::printf(
        "layer %d: %.1f s (%.1f s of processors), accuracy %.4f (%.4f ... %.4f), selectivity %.4f, %.0f of %.0f "
        "bits, %lld unconverged\n",
        layer, seconds, static_cast<double>(std::clock()) / CLOCKS_PER_SEC - cpu, probe->score.score, probe->score.low,
        probe->score.high, probe->selectivity.value_or(0), probe->length->bits, probe->length->uniform_bits,
        static_cast<long long>(probe->unconverged));
    std::fflush(stdout);
  }
  std::printf("%lld rows, %d layers: %.1f s, %.2f GB of anonymous memory (%.2f GB before)\n",
              static_cast<long long>(rows), layers, total, most.load(), before);
  return 0;
}

}  // namespace
}  // namespace layerscope::bench

int main(int argc, char** argv) {
  return layerscope::bench::run(argc > 1 ? std::atoll(argv[1]) : 1'000'000, argc > 2 ? std::atoi(argv[2]) : 7,
                                argc > 3 ? std::atoi(argv[3]) : 2);
}
