// Numbers for the trials that a backend makes when it starts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace layerscope {

/// Values in [-1, 1) from a linear congruential sequence (Knuth's MMIX constants).
inline std::vector<float> sample(std::size_t count, std::uint64_t state) {
  std::vector<float> values(count);
  for (float& value : values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    value = static_cast<float>(static_cast<std::int32_t>(state >> 32)) * 0x1p-31F;
  }
  return values;
}

}  // namespace layerscope
