// Rows into shards, before anything is computed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "job/row_feed.h"
#include "job/runner.h"
#include "job/scheduler.h"
#include "layerscope/error.h"
#include "layerscope/tap.h"
#include "store/run_writer.h"
#include "store/shard_writer.h"

namespace layerscope {

/// What a row adds to its shard. The views live as long as `row` and `id`.
[[nodiscard]] PlannedRow plan_row(const TapPlan& plan, const ShardSchema& schema, std::int64_t number,
                                  const std::optional<std::string>& id, const ModelRow& row,
                                  const PickTokens& picks = {});

/// Takes rows from a feed in order and closes shards: after the row at which a shard's tensors reach `shard_bytes`, or
/// its tokens times the model's parameters reach kMaxShardWork. Safe to call from several threads; one at a time works.
class ShardPlanner {
 public:
  static constexpr double kMaxShardWork = 1e13;
  struct Options {
    std::uint64_t shard_bytes = 0;
    std::uint64_t parameters = 0;
    bool skip_bad = false;
    std::function<void(const Error&)> skipped;
    PickTokens picks;
  };
  ShardPlanner(const TapPlan& plan, const ShardSchema& schema, const RunWriter& run, RowFeed& feed,
               Scheduler& scheduler, Options options);

  /// Plans rows that wait, until a shard is closed or none waits. True if there were any.
  [[nodiscard]] Result<bool> work();
  /// True once no more shards will come: the input has ended, or a bad row ended it.
  [[nodiscard]] bool ended() const noexcept { return ended_; }
  /// The bad row that ended the input.
  [[nodiscard]] std::optional<Error> input_error() const;

  [[nodiscard]] std::int64_t planned_tokens() const noexcept { return planned_tokens_; }
  [[nodiscard]] std::uint64_t planned_input_bytes() const noexcept { return planned_input_bytes_; }
  [[nodiscard]] std::int64_t skipped() const noexcept { return skipped_; }
  /// Bad rows behind the last shard.
  [[nodiscard]] std::int64_t trailing_skipped() const;

 private:
  [[nodiscard]] Status add(const FedRow& row);
  [[nodiscard]] Status close_shard();
  void end();

  const TapPlan& plan_;
  const ShardSchema& schema_;
  const RunWriter& run_;
  RowFeed& feed_;
  Scheduler& scheduler_;
  const Options options_;

  mutable std::mutex mutex_;
  std::unique_ptr<ShardDraft> draft_;
  ShardRecord record_;  // of the draft, as of its last row
  std::int64_t open_skipped_ = 0;
  std::optional<Error> input_error_;
  std::atomic<bool> ended_ = false;
  std::atomic<std::int64_t> planned_tokens_ = 0;
  std::atomic<std::uint64_t> planned_input_bytes_ = 0;
  std::atomic<std::int64_t> skipped_ = 0;
};

}  // namespace layerscope
