// layerscope_bench_decode [FOLDER]: one prompt and its continuation on all cores, with every layer's states shown: the
// prefill as a share of the matrix rate, single-token steps as a share of the memory's read bandwidth, both measured
// beside it in the same run, and what many prompts together gain over one. FOLDER should be in memory.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "matrix_rate.h"
#include "measure.h"
#include "random_model.h"
#include "session/model_state.h"

namespace layerscope::bench {
namespace {

constexpr ModelShape kShape = {"Llama-like", 1024, 2816, 16, 16, 8, 32000};
constexpr std::int64_t kPrompt = 512, kShort = 16;
constexpr int kSteps = 24, kRounds = 5, kPrompts = 16;

int threads() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

/// Bytes a second that all cores together read of a block larger than their caches.
class ReadTest {
 public:
  double measure() {
    double best = 0;
    for (int round = 0; round < 3; ++round) {
      const double begin = now();
      std::vector<std::thread> readers;
      std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads()));
      const std::size_t share = words_.size() / sums.size();
      for (std::size_t i = 0; i < sums.size(); ++i) {
        readers.emplace_back([&, i] { sums[i] = sum(words_.data() + i * share, share); });
      }
      for (std::thread& reader : readers) reader.join();
      const double seconds = now() - begin;
      for (const std::uint64_t each : sums) seen_ ^= each;
      best = std::max(best, static_cast<double>(share * sums.size() * sizeof(std::uint64_t)) / seconds);
    }
    return best;
  }
  [[nodiscard]] std::uint64_t seen() const { return seen_; }

 private:
  /// Thirty-two sums at a time, which the compiler keeps in the widest vectors there are.
#if defined(__x86_64__)
  __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
  static std::uint64_t
  sum(const std::uint64_t* words, std::size_t count) {
    constexpr std::size_t kLanes = 32;
    std::uint64_t sums[kLanes] = {};
    for (std::size_t i = 0; i + kLanes <= count; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] ^= words[i + lane];
    }
    std::uint64_t all = 0;
    for (const std::uint64_t each : sums) all ^= each;
    return all;
  }
  std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>(std::size_t{1} << 26, 0x9E3779B97F4A7C15U);
  std::uint64_t seen_ = 0;
};

/// Keeps the last row of `final`, copies the rest as a run with all layers would.
class Capture : public Observer {
 public:
  explicit Capture(std::int64_t width) : rows_(static_cast<std::size_t>(kPrompt * width)) {}
  Status observe(const Frame& frame) override {
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      std::copy_n(frame.rows.row<float>(i), frame.rows.width,
                  rows_.data() + (frame.first + i) % kPrompt * frame.rows.width);
    }
    return {};
  }
  [[nodiscard]] RowsView last(std::int64_t count, std::int64_t width) const {
    return {DType::kF32, reinterpret_cast<const std::byte*>(rows_.data()), count, width, width};
  }

 private:
  std::vector<float> rows_;
};

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.error().message.c_str());
  std::exit(1);
}

/// Prompts with their caches on their way through a model.
class Decoding {
 public:
  Decoding(const Model& model, const TapPlan& plan, Team& team, int prompts, std::int64_t length)
      : engine_(*model.state().engine),
        plan_(plan),
        team_(team),
        prompts_(prompts),
        caches_(static_cast<std::size_t>(prompts)),
        capture_(kShape.width),
        scores_(static_cast<std::size_t>(prompts * kShape.words())) {
    for (KvCache& cache : caches_) pointers_.push_back(&cache);
    run(length, false);
  }
  /// Seconds of one step of all prompts, their scores included.
  double step() {
    const double begin = now();
    run(1, true);
    const MutableRows out{DType::kF32, reinterpret_cast<std::byte*>(scores_.data()), prompts_, kShape.words(),
                          kShape.words()};
    must(engine_.logits(capture_.last(prompts_, kShape.width), out, {.team = &team_, .steps = true}));
    return now() - begin;
  }

 private:
  void run(std::int64_t length, bool steps) {
    Batch batch;
    for (int i = 0; i < prompts_; ++i) {
      for (std::int64_t j = 0; j < length; ++j)
        batch.inputs[1].ids.push_back(static_cast<std::int32_t>(generator_() % static_cast<unsigned>(kShape.words())));
      batch.inputs[1].offsets.push_back(static_cast<std::int64_t>(batch.inputs[1].ids.size()));
      batch.rows.push_back(i);
      batch.tags.push_back(static_cast<std::uint64_t>(i));
    }
    must(engine_.run(batch, plan_, capture_, {.caches = pointers_, .team = &team_, .steps = steps}));
  }
  const Engine& engine_;
  const TapPlan& plan_;
  Team& team_;
  std::int64_t prompts_;
  std::vector<KvCache> caches_;
  std::vector<KvCache*> pointers_;
  Capture capture_;
  std::vector<float> scores_;
  std::mt19937 generator_{11};
};

/// Seconds of a step, the median of many.
double step_seconds(Decoding& decoding) {
  std::vector<double> seconds;
  for (int i = 0; i < kSteps; ++i) seconds.push_back(decoding.step());
  std::nth_element(seconds.begin(), seconds.begin() + kSteps / 2, seconds.end());
  return seconds[kSteps / 2];
}

int measure(const std::string& path, const char* dtype, ReadTest& memory) {
  const auto opened = Model::open(path, {.dtype = dtype});
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    return 1;
  }
  const Model& model = **opened;
  const Engine& engine = *model.state().engine;
  const auto plan = TapPlan::compile(model.sites(), {.layers = "all"});
  must(engine.load_head());
  Team team(engine.backend(), threads());

  // The machine is measured in turns with the model, since others may be at work on it too; the best of each counts.
  double prefill = 0, rate = 0;
  for (int round = 0; round < kRounds; ++round) {
    rate = std::max(rate, matrix_rate(engine.backend(), kShape, threads()));
    const double begin = now();
    const Decoding decoding(model, *plan, team, 1, kPrompt);
    prefill = std::max(prefill, kShape.operations(kPrompt) / (now() - begin));
  }
  std::printf("%-5s matrix %7.1f GFLOP/s, prefill of %lld tokens %.3f of it\n", dtype, rate * 1e-9,
              static_cast<long long>(kPrompt), prefill / rate);

  const double weights = kShape.block_weights() + static_cast<double>(kShape.words() * kShape.width);
  const double bytes = weights * static_cast<double>(dtype_size(engine.backend().info().operand));
  double bandwidth = 0;
  std::vector<std::pair<std::int64_t, double>> steps;
  double together = std::numeric_limits<double>::max();
  for (const std::int64_t context : {kShort, kPrompt, 4 * kPrompt}) {
    Decoding one(model, *plan, team, 1, context);
    std::optional<Decoding> many;
    if (context == kShort) many.emplace(model, *plan, team, kPrompts, context);
    double seconds = std::numeric_limits<double>::max();
    for (int round = 0; round < kRounds; ++round) {
      bandwidth = std::max(bandwidth, memory.measure());
      seconds = std::min(seconds, step_seconds(one));
      if (many) together = std::min(together, step_seconds(*many));
    }
    steps.emplace_back(context, seconds);
  }
  std::printf("%-5s read %6.1f GB/s; a step's weights over the time of a step", dtype, bandwidth * 1e-9);
  for (const auto& [context, seconds] : steps)
    std::printf(", behind %lld tokens %.2f ms: %.3f of it", static_cast<long long>(context), seconds * 1e3,
                bytes / seconds / bandwidth);
  std::printf("\n%-5s %d prompts together %.2f times the tokens of one\n", dtype, kPrompts,
              kPrompts * steps.front().second / together);
  return 0;
}

}  // namespace
}  // namespace layerscope::bench

int main(int argc, char** argv) {
  using namespace layerscope::bench;
  const std::string folder = std::string(argc > 1 ? argv[1] : "/dev/shm") + "/layerscope-bench-decode";
  write_model(folder, kShape);
  ReadTest memory;
  int status = 0;
  for (const char* dtype : {"f32", "bf16"}) status |= measure(folder, dtype, memory);
  std::filesystem::remove_all(folder);
  return status + (memory.seen() == 1 ? 1 : 0);
}
