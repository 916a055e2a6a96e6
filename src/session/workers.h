// Work on many rows at once, in memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>

#include "layerscope/model.h"

namespace layerscope {

/// Tokens of a batch that one worker runs at a time: activations stay in its cache.
inline constexpr std::int64_t kBatchTokens = 1024;

/// 0 stands for as many threads as there are cores.
[[nodiscard]] inline int all_cores(int threads) {
  return threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

/// Calls work(i) for every i below `count`, by up to `threads` workers of the model. Stops early after an error; the
/// one of the lowest i that failed is returned. kResource where memory runs out.
[[nodiscard]] Status for_each_index(const Model& model, std::size_t count, int threads,
                                    const std::function<Status(std::size_t)>& work);

}  // namespace layerscope
