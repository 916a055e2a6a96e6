// Values of one batch on their way into the shards of its rows.
#pragma once

#include <cstdint>
#include <vector>

#include "job/scheduler.h"
#include "layerscope/error.h"
#include "layerscope/tap.h"
#include "store/layout.h"

namespace layerscope {

/// Writes what a batch delivers. Tags of the batch are indices into `rows`. Used by one thread.
class ValueSink final : public Sink {
 public:
  ValueSink(const TapPlan& plan, const ShardSchema& schema, const std::vector<ScheduledRow>& rows);

  [[nodiscard]] Status accept(const StateFrame& frame) override;
  /// Writes what is still buffered and checks that every value came.
  [[nodiscard]] Status finish();
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  struct Place {
    std::int64_t first = 0, elements = 0;
  };
  [[nodiscard]] Place place(std::size_t site, const ScheduledRow& row) const;
  [[nodiscard]] Status write(const ScheduledRow& row, std::size_t site, std::int64_t first,
                             std::span<const std::byte> values);
  [[nodiscard]] Status flush();

  const TapPlan& plan_;
  const ShardSchema& schema_;
  const std::vector<ScheduledRow>& rows_;
  std::vector<std::size_t> probability_index_;  // of every site among those that are probabilities
  std::int64_t expected_ = 0;                   // elements still to come
  std::uint64_t bytes_ = 0;
  std::vector<std::byte> packed_;  // rows of a frame without the gaps between them
  // Small values that lie end to end go out together.
  std::vector<std::byte> buffer_;
  const OpenShard* buffer_shard_ = nullptr;
  std::size_t buffer_site_ = 0;
  std::int64_t buffer_first_ = 0, buffer_end_ = 0;
};

}  // namespace layerscope
