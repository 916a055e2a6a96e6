// Preloaded into a program: at the K-th call that changes files, the process is killed or the call fails.
//
//   FAULT_FOLDER  only calls on paths that contain this text count
//   FAULT_AT      the number of the call, from 1; 0 only counts
//   FAULT_ACTION  before | after: SIGKILL before or after the call; ENOSPC, EIO, EDQUOT, EMFILE: the call fails once;
//                 short: a write takes one byte; interrupt: the call fails with EINTR once
//   FAULT_PERSISTENT  set: every call from the K-th on fails
//   FAULT_COUNT   a file that receives the number of calls at the end
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::atomic<long> calls{0};

const char* setting(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool watched(const char* path) { return path != nullptr && strstr(path, setting("FAULT_FOLDER")) != nullptr; }

bool watched(int descriptor) {
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return watched(path);
}

enum class Action { kNone, kKillAfter, kFail, kShort };

/// Counts a call and decides about it; kills at once where asked to.
Action decide(int& error_number) {
  const long call = ++calls;
  const long at = atol(setting("FAULT_AT"));
  const bool persistent = *setting("FAULT_PERSISTENT") != '\0';
  if (at == 0 || (persistent ? call < at : call != at)) return Action::kNone;
  const char* action = setting("FAULT_ACTION");
  if (strcmp(action, "before") == 0) raise(SIGKILL);
  if (strcmp(action, "after") == 0) return Action::kKillAfter;
  if (strcmp(action, "short") == 0) return Action::kShort;
  error_number = strcmp(action, "ENOSPC") == 0      ? ENOSPC
                 : strcmp(action, "EDQUOT") == 0    ? EDQUOT
                 : strcmp(action, "EMFILE") == 0    ? EMFILE
                 : strcmp(action, "interrupt") == 0 ? EINTR
                                                    : EIO;
  return Action::kFail;
}

template <class Call>
auto around(bool counts, Call call) -> decltype(call()) {
  int error_number = 0;
  const Action action = counts ? decide(error_number) : Action::kNone;
  if (action == Action::kFail) {
    errno = error_number;
    return -1;
  }
  const auto result = call();
  if (action == Action::kKillAfter) raise(SIGKILL);
  return result;
}

template <class Call>
ssize_t around_write(bool counts, size_t size, Call call) {
  int error_number = 0;
  const Action action = counts ? decide(error_number) : Action::kNone;
  if (action == Action::kFail) {
    errno = error_number;
    return -1;
  }
  const ssize_t result = call(action == Action::kShort && size > 1 ? 1 : size);
  if (action == Action::kKillAfter) raise(SIGKILL);
  return result;
}

struct Counter {
  ~Counter() {
    const char* path = setting("FAULT_COUNT");
    if (*path == '\0') return;
    FILE* file = fopen(path, "w");
    if (file == nullptr) return;
    fprintf(file, "%ld\n", calls.load());
    fclose(file);
  }
} counter;

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t size) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t)>("write");
  return around_write(watched(descriptor), size, [&](size_t count) { return next(descriptor, bytes, count); });
}

ssize_t pwrite(int descriptor, const void* bytes, size_t size, off_t offset) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  return around_write(watched(descriptor), size, [&](size_t count) { return next(descriptor, bytes, count, offset); });
}

int fsync(int descriptor) {
  static const auto next = real<int (*)(int)>("fsync");
  return around(watched(descriptor), [&] { return next(descriptor); });
}

int ftruncate(int descriptor, off_t size) noexcept {
  static const auto next = real<int (*)(int, off_t)>("ftruncate");
  return around(watched(descriptor), [&] { return next(descriptor, size); });
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = real<int (*)(const char*, const char*)>("rename");
  return around(watched(to), [&] { return next(from, to); });
}

int unlink(const char* path) noexcept {
  static const auto next = real<int (*)(const char*)>("unlink");
  return around(watched(path), [&] { return next(path); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto next = real<int (*)(const char*, mode_t)>("mkdir");
  return around(watched(path), [&] { return next(path, mode); });
}

int open(const char* path, int flags, ...) {
  static const auto next = real<int (*)(const char*, int, ...)>("open");
  mode_t mode = 0;
  if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  return around(watched(path), [&] { return next(path, flags, mode); });
}

}  // extern "C"
