// Long work without the interpreter lock, which Ctrl-C ends.
#pragma once

#include <atomic>
#include <functional>

#include "layerscope/error.h"

namespace layerscope::python {

/// Runs `work` on another thread with the interpreter lock released. Where a signal handler raises an exception
/// (KeyboardInterrupt), the flag becomes true, and once `work` has returned the exception goes on. Errors of `work` are
/// raised.
void run_interruptibly(const std::function<Status(const std::atomic<bool>& stop)>& work);

}  // namespace layerscope::python
