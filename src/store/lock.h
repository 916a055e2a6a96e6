// RUN/.lock: one process at a time writes a run.
#pragma once

#include <string>

#include "layerscope/error.h"
#include "store/file_io.h"

namespace layerscope {

inline constexpr std::string_view kLockName = ".lock";

/// Holds the lock of a run folder for its life. The system lets go of it when the process ends, however it ends, so a
/// lock file that was left behind locks nothing.
class RunLock {
 public:
  /// kUsage if another process holds it.
  [[nodiscard]] static Result<RunLock> take(const std::string& folder);

 private:
  explicit RunLock(File file) : file_(std::move(file)) {}
  File file_;
};

}  // namespace layerscope
