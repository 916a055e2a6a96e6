// Where tokens stand: positions of a batch, rotation angles, distance biases.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "spec/spec.h"

namespace layerscope {

/// Cosines and sines of positions 0 ... positions - 1, [positions, pairs] each.
struct Rotation {
  std::vector<float> cosine, sine;
  Rotation(const FixedFrequencies& frequencies, std::int64_t positions);
  /// From a table [positions, 2 * pairs] of sines | cosines.
  Rotation(std::span<const float> table, std::int64_t pairs);
};

/// Rotations of earlier batches, kept because a cosine costs more than a product.
class RotationCache {
 public:
  /// Angles of these frequencies for at least `positions` positions.
  const Rotation& get(const FixedFrequencies& frequencies, std::int64_t positions);

 private:
  struct Entry {
    FixedFrequencies frequencies;
    std::int64_t positions = 0;
    Rotation rotation;
  };
  std::vector<std::unique_ptr<Entry>> entries_;
};

/// The table of a rule, [rows, width]: row `offset + p` is position p.
[[nodiscard]] std::vector<float> sinusoid_table(Sinusoid rule, const PositionTable& positions, std::int64_t width);

/// The bias of every head at distances -span ... span (key position minus query position).
struct DistanceTable {
  std::vector<float> values;  ///< [heads, 2 * span + 1]
  std::int64_t span = 0;
  /// `table` [buckets, heads]. transformers, _relative_position_bucket of the family that BucketBias names.
  DistanceTable(const BucketBias& bias, std::span<const float> table, std::int64_t heads, std::int64_t span);
  explicit DistanceTable(const Alibi& alibi, std::int64_t span);
  [[nodiscard]] DistanceBias view() const noexcept {
    return {.table = values.data(), .stride = 2 * span + 1, .zero = span};
  }
};

/// The bucket of a distance.
[[nodiscard]] std::int64_t distance_bucket(const BucketBias& bias, std::int64_t distance);

}  // namespace layerscope
