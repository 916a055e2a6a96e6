#include "analysis/workers.h"

#include <algorithm>
#include <new>
#include <thread>
#include <vector>

namespace layerscope {

int worker_count(int threads) noexcept {
  return threads > 0 ? threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Status on_workers(int workers, const std::function<Status(std::size_t)>& work) {
  std::vector<Status> results(static_cast<std::size_t>(std::max(workers, 1)));
  const auto run = [&](std::size_t worker) {
    try {
      results[worker] = work(worker);
    } catch (const std::bad_alloc&) {
      results[worker] = Error{ErrorCode::kResource, "out of memory"};
    }
  };
  if (results.size() == 1) {
    run(0);
  } else {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 0; worker < results.size(); ++worker) threads.emplace_back(run, worker);
  }
  for (Status& result : results) {
    if (!result) return std::move(result);
  }
  return {};
}

}  // namespace layerscope
