#include "checkpoint/weight_place.h"

#include <filesystem>
#include <system_error>

#include "base/utf8.h"

namespace layerscope {
namespace {

namespace fs = std::filesystem;

bool is_inside(const fs::path& path, const fs::path& folder) {
  const fs::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != ".." && *relative.begin() != ".";
}

/// The blobs of the cached repository that this folder is a snapshot of; empty for other folders.
fs::path blobs_of(const fs::path& folder) {
  for (fs::path at = folder; at.has_relative_path(); at = at.parent_path()) {
    const fs::path snapshots = at.parent_path();
    const fs::path repository = snapshots.parent_path();
    if (snapshots.filename() == "snapshots" && repository.filename().string().starts_with("models--")) {
      return repository / "blobs";
    }
  }
  return {};
}

}  // namespace

Status check_weight_place(const std::string& folder, const std::string& file) {
  const fs::path path = fs::path(folder) / file;
  const auto fail = [&path](const std::string& what) {
    return Error{ErrorCode::kModel, printable(path.string(), 4096) + ": " + what};
  };
  std::error_code error;
  const fs::path real_folder = fs::canonical(folder, error);
  if (error) return fail("cannot be opened (" + error.message() + ")");
  const fs::path real = fs::canonical(path, error);
  if (error) {
    std::error_code ignored;
    const bool dangling = fs::is_symlink(fs::symlink_status(path, ignored));
    return fail(std::string(dangling ? "is a link that leads nowhere" : "cannot be opened") + " (" + error.message() +
                ")");
  }
  if (is_inside(real, real_folder)) return {};
  if (const fs::path blobs = blobs_of(real_folder); !blobs.empty() && real.parent_path() == blobs) return {};
  return fail("is a link that leads out of the model's folder, to " + printable(real.string(), 4096));
}

}  // namespace layerscope
