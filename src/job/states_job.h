// The bulk job: rows in, a run folder out. The command line, Python and a server call this and nothing else does it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "job/input.h"
#include "layerscope/model.h"
#include "layerscope/tap.h"

namespace layerscope {

struct StatesJobOptions {
  std::string run_folder;
  TapRequest request;
  std::vector<Edit> edits;  ///< in the manifest with a hash of their vectors
  TokenizeOptions tokenize;
  bool skip_bad = false;  ///< --on-bad skip
  std::uint64_t shard_bytes = std::uint64_t{256} << 20;
  int threads = 0;  ///< 0: all cores
  bool overwrite = false;
  bool dry_run = false;
  std::optional<std::pair<int, int>> part;  ///< --shard i/N
  std::int64_t batch_tokens = 0;            ///< tokens a worker takes at once; 0: chosen by the model
  Json embedding;                           ///< how vectors are made, for the manifest; null for states
};

struct JobProgress {
  std::int64_t rows = 0, skipped = 0, tokens = 0, shards = 0;
  std::uint64_t bytes_written = 0, input_bytes = 0;
  std::optional<std::uint64_t> input_total;
  double seconds = 0;
};

struct JobHooks {
  std::function<void(const JobProgress&)> progress;  ///< called now and then from one thread
  std::function<void(const Error&)> skipped;         ///< every bad row under skip_bad
  std::function<void(const std::string&)> note;      ///< one-line messages worth telling ("resuming after shard 3")
  const std::atomic<bool>* stop =
      nullptr;  ///< set by a signal handler: finish what is journalled and return kCancelled
};

struct JobResult {
  JobProgress done;
  bool already_complete = false;
  /// --dry-run: what would be done.
  std::uint64_t estimated_bytes = 0, free_bytes = 0;
  std::int64_t estimated_rows = 0, estimated_tokens = 0;
  double estimated_seconds = 0;
  std::vector<StoredSite> sites;
};

/// Runs or resumes the job (contract: docs/run-folder.md). Same model, input and configuration give byte-identical
/// shards, however the job was interrupted and however many threads ran it. Errors: kUsage for a locked run and for a
/// refused resume (with the difference named), kInput for a bad row, kModel, kRuntime (NaN), kResource (disk),
/// kCancelled.
[[nodiscard]] Result<JobResult> run_states_job(const Model& model, RowReader& rows, const StatesJobOptions& options,
                                               const JobHooks& hooks);

}  // namespace layerscope
