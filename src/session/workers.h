// Work on many rows at once, in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/parallel.h"
#include "layerscope/model.h"

namespace layerscope {

/// Tokens of a batch that one worker runs at a time: activations stay in its cache.
inline constexpr std::int64_t kBatchTokens = 1024;

/// for_each_parallel by workers of the model.
[[nodiscard]] inline Status for_each_index(const Model& model, std::size_t count, int threads,
                                           const std::function<Status(std::size_t)>& work) {
  return for_each_parallel(count, threads, work, [&] { model.enter_worker(); });
}

}  // namespace layerscope
