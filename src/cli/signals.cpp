#include "cli/signals.h"

#include <csignal>

#include <unistd.h>

namespace layerscope::cli {
namespace {

std::atomic<bool> stop{false};
std::atomic<int> signal_number{0};
constexpr unsigned kGraceSeconds = 5;
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void exit_on_signal(int number) { _exit(128 + number); }

extern "C" void exit_as_stopped(int) { _exit(signal_status()); }

extern "C" void remember_signal(int number) {
  signal_number = number;
  stop = true;
  std::signal(SIGALRM, exit_as_stopped);
  alarm(kGraceSeconds);
}

}  // namespace

const std::atomic<bool>& stop_requested() noexcept { return stop; }

int signal_status() noexcept { return signal_number == 0 ? 0 : 128 + signal_number; }

void catch_signals(bool deferred) noexcept {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_handler = deferred ? remember_signal : exit_on_signal;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction present {};
    if (sigaction(number, nullptr, &present) == 0 && present.sa_handler == SIG_IGN) continue;  // as nohup left it
    sigaction(number, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of the write
}

}  // namespace layerscope::cli
