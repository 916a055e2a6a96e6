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

/// The folder that exists above a path, for its free space.
std::string existing_folder(std::string path) {
  while (!path.empty() && !is_folder(path)) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    path.resize(slash);
  }
  return path.empty() ? "/" : path;
}

Error refused(const RunWriter& run, const std::string& difference) {
  return {ErrorCode::kUsage, run.folder() + ": cannot be resumed, " + difference +
                                 "; give the same command, name another folder, or --overwrite starts anew"};
}

/// Reads the input again up to the end of what the journal holds, and compares.
Status replay_input(RowReader& rows, const RunWriter& run) {
  if (run.records().empty()) return {};
  const ShardRecord& last = run.records().back();
  std::int64_t next_row = 0;
  while (next_row < last.next_row) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows.next());
    if (!row) break;
    next_row = row->number + 1;
  }
  if (next_row == last.next_row && rows.bytes() == last.input_bytes && rows.prefix_hash() == last.input_prefix_xxh128)
    return {};
  return refused(run, "the input is another one: up to row " + std::to_string(last.next_row) + " the run has read " +
                          std::to_string(last.input_bytes) + " bytes with hash " + last.input_prefix_xxh128 +
                          ", this command " + std::to_string(rows.bytes()) + " bytes with hash " + rows.prefix_hash());
}

/// A complete run: the rest of the input must be what it was.
Status check_whole_input(RowReader& rows, const RunWriter& run) {
  while (true) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows.next());
    if (!row) break;
  }
  const Manifest& manifest = *run.found();
  if (rows.bytes() == manifest.input_bytes && rows.prefix_hash() == manifest.input_xxh128) return {};
  return refused(run, "the input is another one: the complete run has read " + std::to_string(manifest.input_bytes) +
                          " bytes with hash " + manifest.input_xxh128 + ", this command " +
                          std::to_string(rows.bytes()) + " bytes with hash " + rows.prefix_hash());
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
    if (run.found()) {
      LAYERSCOPE_TRY(resume(run));
      if (result_.already_complete) return result_;
    } else {
      LAYERSCOPE_TRY(run.recover());
    }
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

  Status resume(RunWriter& run) {
    LAYERSCOPE_TRY(hash_model_files(model_.info(), manifest_));
    if (const auto difference = manifest_difference(*run.found(), manifest_)) return refused(run, *difference);
    LAYERSCOPE_TRY(replay_input(rows_, run));
    if (run.found()->complete) LAYERSCOPE_TRY(check_whole_input(rows_, run));
    LAYERSCOPE_TRY(run.check_shards());
    begin_.input_bytes = rows_.bytes();
    for (const ShardRecord& record : run.records()) {
      begin_.rows += record.rows;
      begin_.tokens += record.tokens;
      begin_.skipped += record.skipped;
      begin_.bytes_written += record.bytes;
      ++begin_.shards;
    }
    begin_.input_total = rows_.total_bytes();
    if (run.found()->complete) {
      result_.already_complete = true;
      begin_.skipped = run.found()->skipped;
      result_.done = begin_;
      note(run.folder() + ": is complete and sound: " + std::to_string(begin_.rows) + " rows in " +
           std::to_string(begin_.shards) + " shards");
      return {};
    }
    LAYERSCOPE_TRY(run.recover());
    note(run.folder() + ": resuming after " + std::to_string(begin_.rows) + " rows in " +
         std::to_string(begin_.shards) + " shards");
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
