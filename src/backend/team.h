// Threads that work on one batch together.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "backend/backend.h"

namespace layerscope {

/// A caller and the threads that help it, each with a backend's scratch memory. Between two pieces of work they wait by
/// spinning, since a piece may be shorter than waking up takes; after some hundred microseconds without work they
/// sleep. One caller at a time. The backend must outlive it.
class Team {
 public:
  /// `threads` counts the caller in; less than 1 is 1.
  Team(const Backend& backend, int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  [[nodiscard]] int size() const noexcept { return static_cast<int>(threads_.size()) + 1; }

  /// What member `member` works with, where the caller's own is `own`.
  [[nodiscard]] Scratch& scratch(int member, Scratch& own) const noexcept {
    return member == 0 ? own : *scratches_[static_cast<std::size_t>(member) - 1];
  }

  /// work(member) once on every member, 0 being the caller; returns when all are done. Throws std::bad_alloc if a
  /// member's work did.
  template <class Work>
  void on_all(const Work& work) {
    run([](const void* given, int member) { (*static_cast<const Work*>(given))(member); }, &work);
  }
  /// work(index, member) for every index below `count`, each on whichever member is free.
  template <class Work>
  void for_each(std::size_t count, const Work& work) {
    std::atomic<std::size_t> next{0};
    on_all([&](int member) {
      for (std::size_t i = next++; i < count; i = next++) work(i, member);
    });
  }

 private:
  using Call = void (*)(const void* work, int member);

  void run(Call call, const void* work);
  void help(int member);
  void do_part(int member) noexcept;

  const Backend& backend_;
  std::vector<std::unique_ptr<Scratch>> scratches_;
  Call call_ = nullptr;  ///< null ends the helpers
  const void* work_ = nullptr;
  alignas(64) std::atomic<std::uint32_t> round_{0};  ///< counts the pieces of work
  alignas(64) std::atomic<int> busy_{0};             ///< helpers that have not finished theirs
  std::atomic<bool> out_of_memory_{false};
  std::vector<std::thread> threads_;
};

}  // namespace layerscope
