// The threads of a job: workers that plan and compute, one that finishes shards, one that tells how far it is.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>

#include "job/planner.h"
#include "job/row_feed.h"
#include "job/runner.h"
#include "job/scheduler.h"
#include "job/states_job.h"
#include "store/run_writer.h"

namespace layerscope {

/// Runs a job from its first row that is not journalled to its end.
class Pipeline {
 public:
  struct Parts {
    const RowRunner& model;
    const TapPlan& plan;
    const ShardSchema& schema;
    RowFeed& feed;
    RunWriter& run;
    Manifest& manifest;  ///< without the hashes of the model's files in a new run
    const JobHooks& hooks;
    std::optional<std::uint64_t> input_total;
  };
  struct Options {
    int workers = 1;
    std::int64_t batch_tokens = 0;
    std::uint64_t shard_bytes = 0;
    bool skip_bad = false;
    JobProgress begin;  ///< what a run that is resumed has done already
  };
  Pipeline(Parts parts, Options options);

  /// Returns when every row is in the journal, or the first error after everything that was finished is.
  [[nodiscard]] Status run();
  [[nodiscard]] JobProgress progress() const;
  [[nodiscard]] std::int64_t trailing_skipped() const { return planner_.trailing_skipped(); }

 private:
  void worker();
  void finisher();
  [[nodiscard]] Status finish_shards();
  /// One piece of work. False if there is none at the moment.
  [[nodiscard]] Result<bool> step();
  [[nodiscard]] Result<bool> plan();
  [[nodiscard]] Result<bool> compute();
  [[nodiscard]] bool all_computed() const;
  [[nodiscard]] bool stopped() const;
  void fail(Error error);
  void wait();
  void wake();

  Parts parts_;
  Options options_;
  Scheduler scheduler_;
  ShardPlanner planner_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  std::atomic<std::int64_t> rows_ = 0, tokens_ = 0, shards_ = 0;
  std::atomic<std::uint64_t> bytes_ = 0;
  std::atomic<int> workers_left_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;  // guards error_, finished_ and the waiting
  std::condition_variable changed_, ended_;
  bool finished_ = false;
  std::optional<Error> error_;
};

}  // namespace layerscope
