// SIGINT and SIGTERM.
#pragma once

#include <atomic>

namespace layerscope::cli {

/// Set by the first SIGINT or SIGTERM after catch_signals(); a second one ends the program at once.
[[nodiscard]] const std::atomic<bool>& stop_requested() noexcept;

/// 130 or 143 after the signal that came, 0 before.
[[nodiscard]] int signal_status() noexcept;

/// `deferred`: the first signal only sets stop_requested(), for work that has something to finish. Otherwise it ends
/// the program with its status. SIGPIPE is ignored: a write to a reader that went away fails instead.
void catch_signals(bool deferred) noexcept;

}  // namespace layerscope::cli
