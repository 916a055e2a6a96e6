#include "base/parallel.h"

#include <atomic>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace layerscope {

Status for_each_parallel(std::size_t count, int threads, const std::function<Status(std::size_t)>& work,
                         const std::function<void()>& enter) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::size_t failed = count;
  Status status;
  const auto loop = [&] {
    enter();
    for (std::size_t i = next++; i < count; i = next++) {
      Status done;
      try {
        done = work(i);
      } catch (const std::bad_alloc&) {
        done = Error{ErrorCode::kResource, "out of memory while rows were run"};
      }
      if (done) continue;
      const std::lock_guard lock(mutex);
      if (i < failed) {
        failed = i;
        status = std::move(done);
      }
      next = count;
    }
  };
  std::vector<std::jthread> workers;
  const auto most = static_cast<std::size_t>(std::max(threads, 1));
  for (std::size_t i = 0; i < std::min(most, count); ++i) workers.emplace_back(loop);
  workers.clear();
  return status;
}

}  // namespace layerscope
