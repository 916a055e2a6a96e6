// Which rows run together, and when a shard is done.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"
#include "store/shard_writer.h"

namespace layerscope {

/// A planned shard whose values are being computed.
struct OpenShard {
  OpenShard(ShardWriter shard_writer, ShardRecord shard_record)
      : writer(std::move(shard_writer)), record(std::move(shard_record)) {}
  ShardWriter writer;
  ShardRecord record;         ///< all but bytes and hash
  std::int64_t loaded = 0;    ///< rows that the scheduler has taken up
  std::int64_t finished = 0;  ///< rows whose values are written
  [[nodiscard]] bool done() const noexcept { return finished == writer.counts().rows; }
};

/// A row waiting to be computed, and where its values go. Arrays by StackId.
struct ScheduledRow {
  std::shared_ptr<OpenShard> shard;
  std::int64_t index = 0;   ///< in the shard
  std::int64_t number = 0;  ///< in the input
  ModelRow row;
  std::array<std::int64_t, 2> tokens{};
  std::array<std::int64_t, 2> first_token{};
  std::array<std::int64_t, 2> first_pick{};
  std::array<std::int64_t, 2> picks{};          ///< tokens that are kept, where not all are
  std::vector<std::int64_t> first_probability;  ///< of every site that is probabilities
  [[nodiscard]] std::int64_t all_tokens() const noexcept { return tokens[0] + tokens[1]; }
};

/// Picks of a pool of rows those that run together: the first (or, for the end of a job, the longest), and with it rows
/// whose tokens add up to `budget`, or just below a multiple of 16 near it. Indices ascending, never empty for a pool
/// that is not. A row longer than the budget goes alone.
[[nodiscard]] std::vector<std::size_t> pick_rows(const std::vector<std::int64_t>& tokens, std::int64_t budget,
                                                 bool longest_first);

/// Hands out batches of rows of open shards. Safe to call from several threads.
class Scheduler {
 public:
  /// `schema` must outlive the scheduler.
  Scheduler(const ShardSchema& schema, std::int64_t batch_tokens, int workers);

  void add(std::shared_ptr<OpenShard> shard);
  /// No more shards will come.
  void close();
  /// Rows for one batch, sorted by their place; nothing if none wait.
  [[nodiscard]] Result<std::vector<ScheduledRow>> take();
  /// The values of these rows are written.
  void finish(const std::vector<ScheduledRow>& rows);
  /// Tokens that wait to be computed.
  [[nodiscard]] std::int64_t waiting_tokens() const;
  /// Shards that are not committed yet.
  [[nodiscard]] std::size_t open_shards() const;
  /// The oldest open shard if all of its values are written.
  [[nodiscard]] std::shared_ptr<OpenShard> finished_front() const;
  /// Lets go of the oldest open shard.
  void pop_front();

 private:
  [[nodiscard]] Status fill_window();
  [[nodiscard]] Status load(const std::shared_ptr<OpenShard>& shard, std::int64_t room);
  [[nodiscard]] std::int64_t budget() const;

  const ShardSchema& schema_;
  const std::int64_t batch_tokens_;
  const int workers_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  bool all_loaded_ = false;
  std::int64_t waiting_tokens_ = 0;
  std::int64_t window_tokens_ = 0;
  std::list<ScheduledRow> window_;
  std::deque<std::shared_ptr<OpenShard>> shards_;
};

}  // namespace layerscope
