// Threads over work that comes in pieces.
#pragma once

#include <cstddef>
#include <functional>

#include "layerscope/error.h"

namespace layerscope {

/// 0 stands for as many threads as there are cores.
[[nodiscard]] int worker_count(int threads) noexcept;

/// Calls work(worker) once in each of `workers` threads, and in this one if there is but one. Errors: that of the
/// lowest worker that failed; kResource where memory runs out.
[[nodiscard]] Status on_workers(int workers, const std::function<Status(std::size_t)>& work);

}  // namespace layerscope
