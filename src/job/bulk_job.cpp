#include "job/bulk_job.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#include "base/try.h"
#include "job/estimate.h"
#include "job/identity.h"
#include "job/pipeline.h"
#include "job/resume.h"
#include "session/workers.h"

namespace layerscope {
namespace {

Status check_options(const StatesJobOptions& options) {
  if (options.shard_bytes == 0) return Error{ErrorCode::kUsage, "--shard-size 0: expected at least one byte"};
  if (options.part &&
      (options.part->second < 1 || options.part->first < 0 || options.part->first >= options.part->second)) {
    return Error{ErrorCode::kUsage, "--shard " + std::to_string(options.part->first) + "/" +
                                        std::to_string(options.part->second) + ": expected i/N with 0 <= i < N"};
  }
  return {};
}

/// Tokenises rows ahead, with all threads, as far as the feed goes.
Status fill_feed(RowFeed& feed, const RowRunner& model, int workers) {
  std::vector<std::thread> threads;
  std::vector<Status> results(static_cast<std::size_t>(workers));
  for (Status& result : results) {
    threads.emplace_back([&] {
      model.enter_worker();
      try {
        while (true) {
          auto more = feed.work();
          if (!more) result = more.error();
          if (!more || !*more) break;
        }
      } catch (const std::bad_alloc&) {
        result = Error{ErrorCode::kResource, "memory ran out while rows were read"};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& result : results) LAYERSCOPE_TRY(result);
  return {};
}

/// One job, from its options to its result.
class BulkJob {
 public:
  BulkJob(const RowRunner& model, RowReader& rows, const StatesJobOptions& options, const JobHooks& hooks)
      : model_(model),
        rows_(rows),
        options_(options),
        hooks_(hooks),
        workers_(all_cores(options.threads)),
        batch_tokens_(options.batch_tokens > 0 ? options.batch_tokens : kBatchTokens),
        feed_(model, rows, {options.tokenize, options.part}) {}

  Result<JobResult> run() {
    LAYERSCOPE_TRY(check_options(options_));
    LAYERSCOPE_ASSIGN(plan_, TapPlan::compile(model_.sites(), options_.request));
    schema_.sites = plan_.stored();
    schema_.two_stacks = model_.info().two_stacks;
    schema_.main = model_.sites().layers[0] > 0 || schema_.two_stacks ? StackId::kEncoder : StackId::kDecoder;
    manifest_ = describe_run(model_.info(), schema_, rows_, options_);
    result_.sites = schema_.sites;
    if (options_.dry_run) return estimate();
    LAYERSCOPE_ASSIGN(RunWriter run, RunWriter::open(options_.run_folder, {options_.part, options_.overwrite}));
    LAYERSCOPE_ASSIGN(const Resumed resumed, resume_run(run, model_.info(), manifest_, rows_, hooks_));
    begin_ = resumed.begin;
    result_.already_complete = resumed.complete;
    result_.done = begin_;
    if (resumed.complete) return result_;
    LAYERSCOPE_TRY(check_space(run));
    return write(run);
  }

 private:
  Result<JobResult> estimate() {
    LAYERSCOPE_TRY(fill_feed(feed_, model_, workers_));
    LAYERSCOPE_TRY(check_preview());
    const RowFeed::Preview preview = feed_.preview();
    const auto size = estimate_size(preview, plan_, schema_, 0, rows_.total_bytes(), model_.picks());
    LAYERSCOPE_ASSIGN(result_.free_bytes, free_bytes(existing_folder(options_.run_folder)));
    if (!size) return result_;
    result_.estimated_rows = size->rows;
    result_.estimated_tokens = size->tokens;
    result_.estimated_bytes = size->bytes;
    model_.enter_worker();
    LAYERSCOPE_ASSIGN(const double rate, measure_rate(preview, model_, plan_, batch_tokens_));
    if (rate > 0) result_.estimated_seconds = static_cast<double>(size->tokens) / (rate * workers_);
    return result_;
  }

  /// A bad row among the first ones is told before anything else is said about them.
  Status check_preview() {
    if (options_.skip_bad) return {};
    for (const FedRow* row : feed_.preview().rows) {
      if (!row->row) return row->row.error();
    }
    return {};
  }

  void note(const std::string& text) const {
    if (hooks_.note) hooks_.note(text);
  }

  Status check_space(const RunWriter& run) {
    LAYERSCOPE_TRY(fill_feed(feed_, model_, workers_));
    const auto size =
        estimate_size(feed_.preview(), plan_, schema_, begin_.input_bytes, rows_.total_bytes(), model_.picks());
    LAYERSCOPE_ASSIGN(result_.free_bytes, free_bytes(run.folder()));
    if (!size) return {};
    result_.estimated_rows = size->rows;
    result_.estimated_tokens = size->tokens;
    result_.estimated_bytes = size->bytes;
    if (size->bytes <= result_.free_bytes) return {};
    return Error{ErrorCode::kResource, run.folder() + ": the run needs about " + size_text(size->bytes) + ", " +
                                           size_text(result_.free_bytes) +
                                           " free; make room, or store less (--layers, --pool, --save-dtype f16)"};
  }

  Result<JobResult> write(RunWriter& run) {
    Pipeline pipeline({model_, plan_, schema_, feed_, run, manifest_, hooks_, rows_.total_bytes()},
                      {workers_, batch_tokens_, options_.shard_bytes, options_.skip_bad, begin_});
    Status status = pipeline.run();
    if (status) status = complete(run, pipeline);
    if (!status) {
      // What is left unfinished goes; if that fails too, the next start does it, and the first error is the one to
      // tell.
      if (const Status cleaned = run.recover(); !cleaned) note(cleaned.error().message);
      return std::move(status).error();
    }
    result_.done = pipeline.progress();
    result_.done.input_bytes = rows_.bytes();
    if (hooks_.progress) hooks_.progress(result_.done);
    return result_;
  }

  Status complete(RunWriter& run, const Pipeline& pipeline) {
    manifest_.input_bytes = rows_.bytes();
    manifest_.input_xxh128 = rows_.prefix_hash();
    manifest_.skipped = pipeline.trailing_skipped();
    for (const ShardRecord& record : run.records()) manifest_.skipped += record.skipped;
    return run.complete(manifest_);
  }

  const RowRunner& model_;
  RowReader& rows_;
  const StatesJobOptions& options_;
  const JobHooks& hooks_;
  const int workers_;
  const std::int64_t batch_tokens_;
  RowFeed feed_;
  TapPlan plan_;
  ShardSchema schema_;
  Manifest manifest_;
  JobProgress begin_;
  JobResult result_;
};

}  // namespace

Result<JobResult> run_bulk_job(const RowRunner& model, RowReader& rows, const StatesJobOptions& options,
                               const JobHooks& hooks) {
  try {
    return BulkJob(model, rows, options, hooks).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, options.run_folder + ": memory ran out"};
  }
}

}  // namespace layerscope
