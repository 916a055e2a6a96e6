#include "interrupt.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>
#include <thread>

#include <nanobind/nanobind.h>

#include "errors.h"

namespace nb = nanobind;

namespace layerscope::python {
namespace {

constexpr auto kSignalsEvery = std::chrono::milliseconds(50);

}  // namespace

void run_interruptibly(const std::function<Status(const std::atomic<bool>& stop)>& work) {
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::condition_variable ended;
  std::optional<Status> status;
  std::optional<nb::python_error> raised;
  {
    const nb::gil_scoped_release released;
    std::jthread worker([&] {
      Status result;
      try {
        result = work(stop);
      } catch (const std::bad_alloc&) {
        result = Error{ErrorCode::kResource, "out of memory"};
      }
      const std::lock_guard lock(mutex);
      status = std::move(result);
      ended.notify_one();
    });
    std::unique_lock lock(mutex);
    while (!ended.wait_for(lock, kSignalsEvery, [&] { return status.has_value(); })) {
      lock.unlock();
      if (!raised) {
        const nb::gil_scoped_acquire acquired;
        if (PyErr_CheckSignals() != 0) {
          raised.emplace();
          stop = true;
        }
      }
      lock.lock();
    }
  }
  if (raised) throw std::move(*raised);
  check(*status);
}

}  // namespace layerscope::python
