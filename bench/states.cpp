// layerscope_bench_states [TOKENS] [FOLDER] [SHAPE]: all layers of random models, as a share of the matrix rate
// measured beside it in the same run: layers only, written to a run folder, and what hashing the shards costs. FOLDER
// should be in memory.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/hash.h"
#include "job/states_job.h"
#include "matrix_rate.h"
#include "measure.h"
#include "random_model.h"
#include "session/model_state.h"

namespace layerscope::bench {
namespace {

constexpr int kWorkers = 2;
constexpr ModelShape kShapes[] = {
    {"BERT-base", 768, 3072, 12, 12}, {"MiniLM", 384, 1536, 6, 12}, {"Llama-like", 1024, 2816, 16, 16, 8}};

class Nothing : public Sink {
 public:
  Status accept(const StateFrame&) override { return {}; }
};

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

int measure(const ModelShape& shape, const char* dtype, std::int64_t tokens, const std::string& folder) {
  const std::string path = folder + "/" + shape.name;
  const auto opened = Model::open(path, {.dtype = dtype});
  if (!opened.ok()) return fail(opened.error());
  const Model& model = **opened;
  const auto plan = TapPlan::compile(model.sites(), {.layers = "all"});
  if (!plan.ok()) return fail(plan.error());

  const std::vector<std::int64_t> lengths = row_lengths(shape, tokens);
  std::vector<Batch> batches(1);
  std::string lines;
  std::mt19937 generator(3);
  double operations = 0;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    TextRow text;
    text.ids.emplace();
    for (std::int64_t i = 0; i < lengths[row]; ++i)
      text.ids->push_back(static_cast<std::int32_t>(generator() % kVocabulary));
    const StackId stack = shape.decoder() ? StackId::kDecoder : StackId::kEncoder;
    if (batches.back().tokens(stack) + lengths[row] > 1024) batches.emplace_back();
    model.append(batches.back(), *model.tokenize(text), static_cast<std::int64_t>(row), row);
    lines += "{\"ids\":[";
    for (std::size_t i = 0; i < text.ids->size(); ++i) lines += (i == 0 ? "" : ",") + std::to_string((*text.ids)[i]);
    lines += "]}\n";
    operations += shape.operations(lengths[row]);
  }
  std::ofstream(folder + "/rows.jsonl") << lines;

  const double before = matrix_rate(model.state().engine->backend(), shape, kWorkers);
  std::atomic<std::size_t> next{0};
  const double layers_start = now();
  on_workers(model.state().engine->backend(), kWorkers, [&](int) {
    Nothing nothing;
    for (std::size_t i = next++; i < batches.size(); i = next++) (void)model.run(batches[i], *plan, nothing);
    return 0.0;
  });
  const double layers = operations / (now() - layers_start);

  const std::string run = folder + "/run";
  auto rows = open_rows(folder + "/rows.jsonl", true);
  if (!rows.ok()) return fail(rows.error());
  const auto bytes_a_token = static_cast<std::uint64_t>((shape.layers + 1) * shape.width * 4);
  const StatesJobOptions options{.run_folder = run,
                                 .request = {.layers = "all"},
                                 .shard_bytes = bytes_a_token * static_cast<std::uint64_t>(tokens) / 6,
                                 .threads = kWorkers,
                                 .overwrite = true};
  const double job_start = now();
  const auto result = run_states_job(model, **rows, options, {});
  const double job = operations / (now() - job_start);
  if (!result.ok()) return fail(result.error());
  const double hash_start = now();
  for (const auto& entry : std::filesystem::directory_iterator(run)) (void)hash_file(entry.path(), ErrorCode::kRuntime);
  const double hashing = now() - hash_start;
  const double after = matrix_rate(model.state().engine->backend(), shape, kWorkers);
  const double rate = (before + after) / 2;
  std::printf(
      "%-10s %-5s matrix %7.1f GFLOP/s (%.1f before, %.1f after)   layers %.3f   written %.3f   %lld shards, %.2f GB, "
      "hashing them alone %.3f of the run\n",
      shape.name, dtype, rate * 1e-9, before * 1e-9, after * 1e-9, layers / rate, job / rate,
      static_cast<long long>(result->done.shards), static_cast<double>(result->done.bytes_written) * 1e-9,
      hashing / kWorkers / (operations / job));
  std::filesystem::remove_all(run);
  return 0;
}

}  // namespace
}  // namespace layerscope::bench

int main(int argc, char** argv) {
  using namespace layerscope::bench;
  const std::int64_t tokens = argc > 1 ? std::atoll(argv[1]) : 40000;
  const std::string folder = std::string(argc > 2 ? argv[2] : "/dev/shm") + "/layerscope-bench";
  int status = 0;
  for (const ModelShape& shape : kShapes) {
    if (argc > 3 && std::string(argv[3]) != shape.name) continue;
    write_model(folder + "/" + shape.name, shape);
    const bool small = shape.width < 512;
    for (const char* dtype : {"f32", "bf16"}) status |= measure(shape, dtype, small ? 6 * tokens : tokens, folder);
  }
  std::filesystem::remove_all(folder);
  return status;
}
