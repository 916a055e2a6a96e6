#include "engine/relative_positions.h"

#include <algorithm>
#include <cmath>

namespace layerscope {
namespace {

// Distances up to half the buckets are buckets of their own, those beyond share them by their logarithm.
std::int64_t log_bucket(const Disentangled& relative, std::int64_t distance) {
  const std::int64_t middle = relative.buckets / 2, far = std::abs(distance);
  if (far <= middle) return distance;
  const auto near = static_cast<float>(middle);
  const float reach =
      std::log(static_cast<float>(static_cast<double>(relative.max_distance - 1) / static_cast<double>(middle)));
  const float share = std::log(static_cast<float>(far) / near) / reach;
  const auto bucket = static_cast<std::int64_t>(std::ceil(share * static_cast<float>(middle - 1)) + near);
  return distance > 0 ? bucket : -bucket;
}

}  // namespace

std::int64_t relative_row(const Disentangled& relative, std::int64_t distance) {
  const std::int64_t bucket = relative.buckets > 0 ? log_bucket(relative, distance) : distance;
  return std::clamp<std::int64_t>(bucket + relative.span, 0, 2 * relative.span - 1);
}

RelativeRows::RelativeRows(const Disentangled& relative, std::int64_t longest) : zero(longest - 1) {
  rows.reserve(static_cast<std::size_t>(2 * longest - 1));
  for (std::int64_t ahead = 1 - longest; ahead < longest; ++ahead)
    rows.push_back(static_cast<std::int32_t>(relative_row(relative, -ahead)));
  const auto [least, most] = std::minmax_element(rows.begin(), rows.end());
  first = *least;
  count = *most - *least + 1;
  for (std::int32_t& row : rows) row -= static_cast<std::int32_t>(first);
}

}  // namespace layerscope
