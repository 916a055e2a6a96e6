#include "store/lock.h"

#include <sys/file.h>

#include <cerrno>

#include "base/try.h"

namespace layerscope {

Result<RunLock> RunLock::take(const std::string& folder) {
  const std::string path = folder + "/" + std::string(kLockName);
  LAYERSCOPE_ASSIGN(File file, File::open_append(path));
  int result = 0;
  do {
    result = ::flock(file.descriptor(), LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return RunLock(std::move(file));
  if (errno == EWOULDBLOCK) {
    return Error{ErrorCode::kUsage,
                 folder + ": the run is locked (another process is writing it: wait for it or stop it)"};
  }
  return io_error(path, "cannot be locked", errno);
}

}  // namespace layerscope
