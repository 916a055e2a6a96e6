#include "store/file_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/hash.h"
#include "base/try.h"

namespace layerscope {
namespace {

constexpr mode_t kFileMode = 0666;
constexpr mode_t kFolderMode = 0777;
constexpr std::size_t kHashPiece = std::size_t{1} << 20;

/// Repeats a system call while it is interrupted.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

std::string_view folder_or_here(const std::string& folder) { return folder.empty() ? std::string_view(".") : folder; }

}  // namespace

Error io_error(const std::string& path, std::string_view what, int error_number) {
  const bool absent = error_number == ENOENT || error_number == ENOTDIR || error_number == EISDIR;
  return {absent ? ErrorCode::kRuntime : ErrorCode::kResource,
          path + ": " + std::string(what) + " (" + std::generic_category().message(error_number) + ")"};
}

File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

Result<File> File::open(const std::string& path, int flags) {
  const int descriptor = uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, kFileMode); });
  if (descriptor < 0) return io_error(path, "cannot be opened", errno);
  return File(descriptor, path);
}

Result<File> File::create(const std::string& path) { return open(path, O_RDWR | O_CREAT | O_TRUNC); }

Result<File> File::open_append(const std::string& path) { return open(path, O_RDWR | O_CREAT | O_APPEND); }

Result<File> File::open_read(const std::string& path) {
  LAYERSCOPE_ASSIGN(File file, open(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) return io_error(path, "cannot be examined", errno);
  if (!S_ISREG(status.st_mode)) return Error{ErrorCode::kRuntime, path + ": is no regular file"};
  return file;
}

Result<File> File::create_unnamed(const std::string& folder) {
  static std::atomic<std::uint64_t> counter{0};
  const std::string path =
      folder + "/.spool-" + std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1)) + ".tmp";
  LAYERSCOPE_ASSIGN(File file, open(path, O_RDWR | O_CREAT | O_EXCL));
  LAYERSCOPE_TRY(remove_file(path));
  return file;
}

Status File::write_at(std::uint64_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t count =
        uninterrupted([&] { return ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (count < 0) return io_error(path_, "cannot be written", errno);
    if (count == 0) return io_error(path_, "cannot be written", ENOSPC);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status File::append(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t count = uninterrupted([&] { return ::write(descriptor_, text.data(), text.size()); });
    if (count < 0) return io_error(path_, "cannot be written", errno);
    if (count == 0) return io_error(path_, "cannot be written", ENOSPC);
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Status File::read_at(std::uint64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t count =
        uninterrupted([&] { return ::pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset)); });
    if (count < 0) return io_error(path_, "cannot be read", errno);
    if (count == 0) {
      return Error{ErrorCode::kDamage, path_ + ": ends at byte " + std::to_string(offset) + ", " +
                                           std::to_string(into.size()) + " bytes before its expected end"};
    }
    into = into.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Status File::sync() const {
  if (uninterrupted([&] { return ::fsync(descriptor_); }) != 0) return io_error(path_, "cannot be synced", errno);
  return {};
}

Status File::truncate(std::uint64_t size) const {
  if (uninterrupted([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) != 0) {
    return io_error(path_, "cannot be given its size of " + std::to_string(size) + " bytes", errno);
  }
  return {};
}

Result<std::uint64_t> File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return io_error(path_, "cannot be examined", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::string> hash_open_file(const File& file, std::uint64_t size) {
  std::vector<std::byte> piece(static_cast<std::size_t>(std::min<std::uint64_t>(size, kHashPiece)));
  Hasher hasher;
  for (std::uint64_t offset = 0; offset < size;) {
    const auto part =
        std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(size - offset, kHashPiece)));
    LAYERSCOPE_TRY(file.read_at(offset, part));
    hasher.update(part);
    offset += part.size();
  }
  return hasher.hex();
}

Status sync_folder(const std::string& folder) {
  const std::string path(folder_or_here(folder));
  const int descriptor = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (descriptor < 0) return io_error(path, "cannot be opened", errno);
  const int result = uninterrupted([&] { return ::fsync(descriptor); });
  const int error_number = errno;
  ::close(descriptor);
  // Some file systems have nothing to sync in a folder and say EINVAL.
  if (result != 0 && error_number != EINVAL) return io_error(path, "cannot be synced", error_number);
  return {};
}

Status rename_file(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error(to, "cannot be renamed from " + from, errno);
  return {};
}

Status remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return io_error(path, "cannot be removed", errno);
  return {};
}

Status remove_folder(const std::string& path) {
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return io_error(path, "cannot be removed", errno);
  return {};
}

Status make_folders(const std::string& path) {
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    if (!is_folder(folder) && ::mkdir(folder.c_str(), kFolderMode) != 0 && errno != EEXIST) {
      return io_error(folder, "cannot be created", errno);
    }
    if (end == std::string::npos) break;
  }
  if (!is_folder(path)) return Error{ErrorCode::kUsage, path + ": is a file, expected a folder or nothing"};
  return {};
}

Result<std::vector<std::string>> list_folder(const std::string& folder) {
  DIR* directory = ::opendir(folder.c_str());
  if (directory == nullptr) return io_error(folder, "cannot be listed", errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  const int error_number = errno;
  ::closedir(directory);
  if (error_number != 0) return io_error(folder, "cannot be listed", error_number);
  std::sort(names.begin(), names.end());
  return names;
}

bool path_exists(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

Result<std::uint64_t> free_bytes(const std::string& folder) {
  struct statvfs status {};
  if (uninterrupted([&] { return ::statvfs(folder.c_str(), &status); }) != 0) {
    return io_error(folder, "its free space cannot be read", errno);
  }
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

Status replace_file(const std::string& folder, const std::string& name, std::string_view text) {
  const std::string temporary = folder + "/." + name + ".tmp";
  {
    LAYERSCOPE_ASSIGN(const File file, File::create(temporary));
    LAYERSCOPE_TRY(file.write_at(0, std::as_bytes(std::span(text))));
    LAYERSCOPE_TRY(file.sync());
  }
  LAYERSCOPE_TRY(rename_file(temporary, folder + "/" + name));
  return sync_folder(folder);
}

}  // namespace layerscope
