// Independent pieces of work, by several threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <thread>

#include "layerscope/error.h"

namespace layerscope {

/// 0 stands for as many threads as there are cores.
[[nodiscard]] inline int all_cores(int threads) {
  return threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

/// Calls work(i) for every i below `count`, by up to `threads` threads, each of which calls `enter` first. Stops early
/// after an error; the one of the lowest i that failed is returned. kResource where memory runs out.
[[nodiscard]] Status for_each_parallel(
    std::size_t count, int threads, const std::function<Status(std::size_t)>& work,
    const std::function<void()>& enter = [] {});

}  // namespace layerscope
