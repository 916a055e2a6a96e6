#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

Error failed(ErrorCode code, const std::string& path, const char* what, int error) {
  return {code, printable(path, 4096) + ": " + what + " (" + std::generic_category().message(error) + ")"};
}

const char* kind_name(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a named pipe";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "a socket or another special file";
}

}  // namespace

RegularFile::~RegularFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

RegularFile::RegularFile(RegularFile&& other) noexcept
    : path_(std::move(other.path_)),
      code_(other.code_),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(std::exchange(other.size_, 0)) {}

RegularFile& RegularFile::operator=(RegularFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(code_, other.code_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

Result<RegularFile> RegularFile::open(const std::string& path, ErrorCode code) {
  if (path.find('\0') != std::string::npos) return failed(code, path, "cannot be opened", EINVAL);
  RegularFile file;
  file.path_ = path;
  file.code_ = code;
  do {
    file.descriptor_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  } while (file.descriptor_ < 0 && errno == EINTR);
  if (file.descriptor_ < 0) return failed(code, path, "cannot be opened", errno);
  struct stat status {};
  if (::fstat(file.descriptor_, &status) != 0) return failed(code, path, "cannot be examined", errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{code, printable(path, 4096) + ": is " + kind_name(status.st_mode) + ", expected a regular file"};
  }
  file.size_ = static_cast<std::uint64_t>(status.st_size);
  return file;
}

Result<std::size_t> RegularFile::read(std::span<std::byte> into) {
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, into.data(), into.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return failed(code_, path_, "cannot be read", errno);
  return static_cast<std::size_t>(count);
}

Result<std::string> read_file(const std::string& path, ErrorCode code, std::size_t max_bytes) {
  LAYERSCOPE_ASSIGN(RegularFile file, RegularFile::open(path, code));
  if (file.size() > max_bytes) {
    return Error{code, printable(path, 4096) + ": has " + std::to_string(file.size()) + " bytes, at most " +
                           std::to_string(max_bytes) + " are read"};
  }
  std::string content(static_cast<std::size_t>(file.size()), '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    LAYERSCOPE_ASSIGN(const std::size_t count, file.read(std::as_writable_bytes(std::span(content)).subspan(filled)));
    if (count == 0) break;
    filled += count;
  }
  content.resize(filled);
  return content;
}

}  // namespace layerscope
