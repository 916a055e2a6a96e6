#include "engine/positions.h"

#include <algorithm>
#include <cmath>

namespace layerscope {

Rotation::Rotation(const FixedFrequencies& frequencies, std::int64_t positions) {
  const std::size_t pairs = frequencies.inverse.size();
  cosine.resize(static_cast<std::size_t>(positions) * pairs);
  sine.resize(cosine.size());
  for (std::size_t p = 0; p < static_cast<std::size_t>(positions); ++p) {
    for (std::size_t j = 0; j < pairs; ++j) {
      const float angle = static_cast<float>(p) * frequencies.inverse[j];  // float32, as transformers has it
      cosine[p * pairs + j] = static_cast<float>(std::cos(static_cast<double>(angle))) * frequencies.magnitude;
      sine[p * pairs + j] = static_cast<float>(std::sin(static_cast<double>(angle))) * frequencies.magnitude;
    }
  }
}

Rotation::Rotation(std::span<const float> table, std::int64_t pairs) {
  const auto half = static_cast<std::size_t>(pairs);
  for (std::size_t row = 0; row < table.size(); row += 2 * half) {
    const std::span<const float> sines = table.subspan(row, half), cosines = table.subspan(row + half, half);
    sine.insert(sine.end(), sines.begin(), sines.end());
    cosine.insert(cosine.end(), cosines.begin(), cosines.end());
  }
}

const Rotation& RotationCache::get(const FixedFrequencies& frequencies, std::int64_t positions) {
  constexpr std::size_t kMostEntries = 16;  // length-dependent frequencies make a new one for every length
  for (auto& entry : entries_) {
    if (entry->frequencies.inverse != frequencies.inverse || entry->frequencies.magnitude != frequencies.magnitude)
      continue;
    if (entry->positions < positions) {
      entry->positions = std::max(positions, 2 * entry->positions);
      entry->rotation = Rotation(frequencies, entry->positions);
    }
    return entry->rotation;
  }
  if (entries_.size() == kMostEntries) entries_.erase(entries_.begin());
  entries_.push_back(std::make_unique<Entry>(Entry{frequencies, positions, Rotation(frequencies, positions)}));
  return entries_.back()->rotation;
}

std::int64_t distance_bucket(const BucketBias& bias, std::int64_t distance) {
  std::int64_t buckets = bias.used_buckets > 0 ? bias.used_buckets : bias.buckets, base = 0, away = 0;
  if (bias.bidirectional) {
    buckets /= 2;
    base = distance > 0 ? buckets : 0;
    away = std::abs(distance);
  } else {
    away = std::max<std::int64_t>(-distance, 0);
  }
  const std::int64_t exact = buckets / 2;
  if (away < exact) return base + away;
  const float share = std::log(static_cast<float>(away) / static_cast<float>(exact)) /
                      static_cast<float>(std::log(static_cast<double>(bias.max_distance) / static_cast<double>(exact)));
  const std::int64_t far = exact + static_cast<std::int64_t>(share * static_cast<float>(buckets - exact));
  return base + std::min(far, buckets - 1);
}

DistanceTable::DistanceTable(const BucketBias& bias, std::span<const float> table, std::int64_t heads,
                             std::int64_t reach)
    : span(reach) {
  values.resize(static_cast<std::size_t>(heads * (2 * reach + 1)));
  for (std::int64_t distance = -reach; distance <= reach; ++distance) {
    const std::int64_t bucket = distance_bucket(bias, distance);
    for (std::int64_t head = 0; head < heads; ++head) {
      values[static_cast<std::size_t>(head * (2 * reach + 1) + distance + reach)] =
          table[static_cast<std::size_t>(bucket * heads + head)];
    }
  }
}

DistanceTable::DistanceTable(const Alibi& alibi, std::int64_t reach) : span(reach) {
  for (const float slope : alibi.slopes)
    for (std::int64_t at = -reach; at <= reach; ++at) values.push_back(slope * static_cast<float>(at));
}

std::vector<float> sinusoid_table(Sinusoid rule, const PositionTable& positions, std::int64_t width) {
  const std::int64_t half = width / 2;
  std::vector<float> table(static_cast<std::size_t>(positions.rows * width), 0.0F);
  for (std::int64_t row = positions.skipped_id ? positions.offset : 0; row < positions.rows; ++row) {
    float* out = table.data() + row * width;
    if (rule == Sinusoid::kEndpointRates) {
      const float step = static_cast<float>(std::log(10000.0) / static_cast<double>(half - 1));
      for (std::int64_t j = 0; j < half; ++j) {
        const float angle = static_cast<float>(row) * std::exp(static_cast<float>(j) * -step);
        out[j] = std::sin(angle);
        out[half + j] = std::cos(angle);
      }
      continue;
    }
    const std::int64_t sines = half + width % 2;
    for (std::int64_t j = 0; j < width; ++j) {
      const double angle =
          static_cast<double>(row) / std::pow(10000.0, 2 * static_cast<double>(j / 2) / static_cast<double>(width));
      out[j % 2 == 0 ? j / 2 : sines + j / 2] = static_cast<float>(j % 2 == 0 ? std::sin(angle) : std::cos(angle));
    }
  }
  return table;
}

}  // namespace layerscope
