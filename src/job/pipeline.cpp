#include "job/pipeline.h"

#include <signal.h>

#include <algorithm>
#include <new>
#include <thread>
#include <vector>

#include "base/try.h"
#include "job/identity.h"
#include "job/value_sink.h"

namespace layerscope {
namespace {

constexpr std::size_t kOpenShards = 3;
constexpr std::chrono::milliseconds kNap{5};
constexpr std::chrono::milliseconds kProgressEvery{200};

/// A file that grows over the process's limit is an error of the write, not the end of the process.
void block_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

/// The body of a thread: memory that runs out is an error like any other.
template <class Body>
Status guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, "memory ran out; use fewer threads or smaller batches"};
  }
}

}  // namespace

Pipeline::Pipeline(Parts parts, Options options)
    : parts_(parts),
      options_(std::move(options)),
      scheduler_(parts.schema, options_.batch_tokens, options_.workers),
      planner_(parts.plan, parts.schema, parts.run, parts.feed, scheduler_,
               {options_.shard_bytes, parts.model.info().parameters, options_.skip_bad, parts.hooks.skipped,
                parts.model.picks()}) {}

bool Pipeline::stopped() const { return failed_ || (parts_.hooks.stop != nullptr && *parts_.hooks.stop); }

void Pipeline::fail(Error error) {
  {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
  }
  failed_ = true;
  wake();
}

void Pipeline::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kNap);
}

void Pipeline::wake() { changed_.notify_all(); }

bool Pipeline::all_computed() const { return planner_.ended() && scheduler_.waiting_tokens() == 0; }

Result<bool> Pipeline::plan() {
  if (planner_.ended() || scheduler_.open_shards() >= kOpenShards) return false;
  LAYERSCOPE_ASSIGN(const bool planned, planner_.work());
  if (planned) return true;
  return parts_.feed.work();
}

Result<bool> Pipeline::compute() {
  LAYERSCOPE_ASSIGN(const std::vector<ScheduledRow> rows, scheduler_.take());
  if (rows.empty()) return false;
  Batch batch;
  std::int64_t tokens = 0;
  for (std::size_t index = 0; index < rows.size(); ++index) {
    parts_.model.append(batch, rows[index].row, rows[index].number, index);
    tokens += rows[index].all_tokens();
  }
  ValueSink sink(parts_.plan, parts_.schema, rows);
  LAYERSCOPE_TRY(parts_.model.run(batch, parts_.plan, sink));
  LAYERSCOPE_TRY(sink.finish());
  scheduler_.finish(rows);
  rows_ += static_cast<std::int64_t>(rows.size());
  tokens_ += tokens;
  bytes_ += sink.bytes();
  return true;
}

Result<bool> Pipeline::step() {
  // Planning goes first while little waits: then batches are formed across the border of two shards.
  if (scheduler_.waiting_tokens() < 4 * options_.workers * options_.batch_tokens) {
    LAYERSCOPE_ASSIGN(const bool planned, plan());
    if (planned) return true;
  }
  return compute();
}

void Pipeline::worker() {
  block_file_size_signal();
  parts_.model.enter_worker();
  while (!stopped()) {
    bool did = false;
    const Status status = guarded([&]() -> Status {
      LAYERSCOPE_ASSIGN(did, step());
      return {};
    });
    if (!status) {
      fail(status.error());
      break;
    }
    if (!did && all_computed()) break;
    did ? wake() : wait();
  }
  --workers_left_;
  wake();
}

Status Pipeline::finish_shards() {
  if (!parts_.run.found()) {
    LAYERSCOPE_TRY(hash_model_files(parts_.model.info(), parts_.manifest));
    LAYERSCOPE_TRY(parts_.run.start(parts_.manifest));
  }
  while (!failed_) {
    // Read before the shards are looked at: what the last worker finished must still be seen here.
    const bool last_look = workers_left_ == 0;
    if (const std::shared_ptr<OpenShard> shard = scheduler_.finished_front()) {
      LAYERSCOPE_TRY(parts_.run.commit(shard->writer, shard->record));
      scheduler_.pop_front();
      ++shards_;
      wake();
    } else if (last_look) {
      break;
    } else {
      wait();
    }
  }
  return {};
}

void Pipeline::finisher() {
  block_file_size_signal();
  if (Status status = guarded([&] { return finish_shards(); }); !status) fail(status.error());
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  ended_.notify_all();
}

Status Pipeline::run() {
  workers_left_ = options_.workers;
  std::vector<std::thread> threads;
  threads.emplace_back([this] { finisher(); });
  for (int worker_index = 0; worker_index < options_.workers; ++worker_index)
    threads.emplace_back([this] { worker(); });
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kProgressEvery, [this] { return finished_; })) {
    lock.unlock();
    if (parts_.hooks.progress) parts_.hooks.progress(progress());
    lock.lock();
  }
  lock.unlock();
  for (std::thread& thread : threads) thread.join();
  if (error_) return *error_;
  if (const auto bad_row = planner_.input_error()) return *bad_row;
  if (all_computed() && scheduler_.open_shards() == 0) return {};
  if (!stopped()) {
    return Error{ErrorCode::kRuntime, parts_.run.folder() + ": " + std::to_string(scheduler_.open_shards()) +
                                          " shards were left unfinished; the same command goes on from there"};
  }
  return Error{ErrorCode::kCancelled, parts_.run.folder() + ": stopped with " +
                                          std::to_string(parts_.run.records().size()) +
                                          " shards finished; the same command goes on from there"};
}

JobProgress Pipeline::progress() const {
  JobProgress now = options_.begin;
  now.rows += rows_;
  now.tokens += tokens_;
  now.shards += shards_;
  now.skipped += planner_.skipped();
  now.bytes_written += bytes_;
  now.input_total = parts_.input_total;
  // Planning runs ahead of computing; the input counts as far as its tokens are computed.
  const std::int64_t planned = planner_.planned_tokens();
  if (planned > 0 && planner_.planned_input_bytes() > now.input_bytes) {
    const double share = std::min(1.0, static_cast<double>(tokens_) / static_cast<double>(planned));
    now.input_bytes +=
        static_cast<std::uint64_t>(static_cast<double>(planner_.planned_input_bytes() - now.input_bytes) * share);
  }
  now.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  return now;
}

}  // namespace layerscope
