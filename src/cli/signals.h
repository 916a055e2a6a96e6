// SIGINT and SIGTERM.
#pragma once

#include <atomic>

namespace layerscope::cli {

/// Set by the first SIGINT or SIGTERM after catch_signals(); a second one ends the program at once.
[[nodiscard]] const std::atomic<bool>& stop_requested() noexcept;

/// 130 or 143 after the signal that came, 0 before.
[[nodiscard]] int signal_status() noexcept;

/// `deferred`: the first signal only sets stop_requested(), for work that has something to finish; if that takes longer
/// than five seconds (stdin may have nothing more to say), the program ends with the signal's status all the same.
/// Otherwise the first signal ends the program. SIGPIPE is ignored: a write to a reader that went away fails instead.
void catch_signals(bool deferred) noexcept;

}  // namespace layerscope::cli
