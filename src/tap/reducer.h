// From frames of a batch to stored values of its sequences: pooling, picking, mixing, casting.
#pragma once

#include <array>
#include <vector>

#include "tap/frame.h"
#include "tap/pool.h"

namespace layerscope {

/// Reduces the frames of one batch as the plan says and hands the results, sequence by sequence, to a sink. Pools and
/// mixes are running sums in token and layer order, so that their bits do not depend on how the frames are cut.
class Reducer final : public Observer {
 public:
  /// All three outlive the reducer.
  Reducer(const Batch& batch, const TapPlan& plan, Sink& sink);
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  /// Errors: kRuntime where a value does not fit into the stored type (float16), naming the site; the sink's own.
  [[nodiscard]] Status observe(const Frame& frame) override;

 private:
  Status tokens(const Frame& frame, std::size_t stack);
  Status mix(const Frame& frame, std::size_t stack);
  Status sequence_rows(int stored, std::size_t sequence, std::int64_t first, const float* rows, std::int64_t count,
                       std::int64_t width, std::int64_t stride);
  Status pool_rows(int stored, std::size_t sequence, std::int64_t first, const float* rows, std::int64_t count,
                   std::int64_t width, std::int64_t stride, std::int64_t length);
  Status put(int stored, std::size_t sequence, std::int64_t first_row, const float* rows, std::int64_t count,
             std::int64_t width, std::int64_t stride);
  const std::vector<std::int32_t>& picks_of(std::size_t stack, std::size_t sequence);

  const Batch& batch_;
  const TapPlan& plan_;
  Sink& sink_;
  std::vector<RowPool> pools_;                                   // one a stored site, each at its open sequence
  std::array<std::vector<std::vector<std::int32_t>>, 2> picks_;  // by stack and sequence
  std::array<std::vector<float>, 2> mixed_;                      // by stack: [tokens, width]
  std::vector<std::byte> cast_;
  std::vector<float> floats_;
};

}  // namespace layerscope
