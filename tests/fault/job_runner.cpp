// Runs the bulk job over a model whose values are known: job_runner INPUT RUN [THREADS]. The exit status is the command
// line's (docs/run-folder.md); the error goes to stderr.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "job/bulk_job.h"
#include "support/fake_runner.h"

int main(int count, char** arguments) {
  using namespace layerscope;
  if (count < 3) return 2;
  auto rows = open_rows(arguments[1], false);
  if (!rows) return 1;
  StatesJobOptions options;
  options.run_folder = arguments[2];
  options.shard_bytes = 6000;
  options.batch_tokens = 64;
  options.threads = count > 3 ? std::atoi(arguments[3]) : 1;
  test::FakeRunner model;
  model.mutable_info().files = {arguments[1]};  // any file serves as the model's
  const auto result = run_bulk_job(model, **rows, options, {});
  if (result) return 0;
  std::fprintf(stderr, "layerscope: %s\n", result.error().message.c_str());
  switch (result.error().code) {
    case ErrorCode::kUsage: return 2;
    case ErrorCode::kModel: return 4;
    case ErrorCode::kResource: return 5;
    case ErrorCode::kDamage: return 6;
    case ErrorCode::kCancelled: return 130;
    default: return 1;
  }
}
