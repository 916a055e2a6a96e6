#include "backend/team.h"

#include <algorithm>
#include <new>

namespace layerscope {
namespace {

constexpr int kSpins = 8000;

void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Team::Team(const Backend& backend, int threads) : backend_(backend) {
  const int helpers = std::max(threads, 1) - 1;
  for (int i = 0; i < helpers; ++i) scratches_.push_back(backend.make_scratch());
  for (int i = 0; i < helpers; ++i) threads_.emplace_back([this, i] { help(i + 1); });
}

Team::~Team() {
  call_ = nullptr;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Team::run(Call call, const void* work) {
  call_ = call;
  work_ = work;
  busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  do_part(0);
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    pause_briefly();
    if (spins > kSpins) std::this_thread::yield();  // a helper may be waiting for this very core
  }
  if (out_of_memory_.exchange(false)) throw std::bad_alloc();
}

void Team::help(int member) {
  backend_.enter_worker();
  for (std::uint32_t seen = 0;;) {
    for (int spins = 0; spins < kSpins && round_.load(std::memory_order_relaxed) == seen; ++spins) pause_briefly();
    round_.wait(seen, std::memory_order_relaxed);
    seen = round_.load(std::memory_order_acquire);
    if (call_ == nullptr) return;
    do_part(member);
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

void Team::do_part(int member) noexcept {
  try {
    call_(work_, member);
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
  }
}

}  // namespace layerscope
