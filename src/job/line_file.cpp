#include "job/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "base/try.h"
#include "base/utf8.h"

namespace layerscope {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Error unreadable(const std::string& name, int error_number) {
  return {ErrorCode::kRuntime, name + ": cannot be read (" + std::generic_category().message(error_number) + ")"};
}

}  // namespace

LineFile::LineFile(int descriptor, std::string name, std::optional<std::uint64_t> total)
    : descriptor_(descriptor), name_(std::move(name)), total_(total), buffer_(kReadBytes) {}

LineFile::~LineFile() {
  if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
}

Result<std::unique_ptr<LineFile>> LineFile::open(const std::string& path) {
  if (path == "-") return std::unique_ptr<LineFile>(new LineFile(STDIN_FILENO, "<stdin>", std::nullopt));
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return unreadable(path, errno);
  struct stat status {};
  const int result = ::fstat(descriptor, &status);
  if (result != 0 || S_ISDIR(status.st_mode)) {
    const int error_number = result != 0 ? errno : EISDIR;
    ::close(descriptor);
    return unreadable(path, error_number);
  }
  const auto total = S_ISREG(status.st_mode) ? std::optional(static_cast<std::uint64_t>(status.st_size)) : std::nullopt;
  return std::unique_ptr<LineFile>(new LineFile(descriptor, path, total));
}

std::unique_ptr<LineFile> LineFile::of(std::string_view text, std::string name) {
  std::unique_ptr<LineFile> lines(new LineFile(-1, std::move(name), text.size()));
  lines->buffer_.assign(text.begin(), text.end());
  lines->end_ = text.size();
  return lines;
}

Result<bool> LineFile::next() {
  line_.clear();
  if (line_.capacity() > kReadBytes) line_.shrink_to_fit();
  too_long_ = false;
  bool any = false;
  while (true) {
    if (begin_ == end_) {
      LAYERSCOPE_ASSIGN(end_, fill());
      begin_ = 0;
      if (end_ == 0) break;
    }
    any = true;
    const char* start = buffer_.data() + begin_;
    const void* feed = std::memchr(start, '\n', end_ - begin_);
    const std::size_t count =
        feed == nullptr ? end_ - begin_ : static_cast<std::size_t>(static_cast<const char*>(feed) - start);
    keep(std::string_view(start, count));
    consume(feed == nullptr ? count : count + 1);
    if (feed != nullptr) break;
  }
  if (lines_ == 0 && line_.starts_with(kByteOrderMark)) line_.erase(0, kByteOrderMark.size());
  if (line_.ends_with('\r')) line_.pop_back();
  if (any) ++lines_;
  return any;
}

Status LineFile::check() const {
  if (too_long_) {
    return Error{ErrorCode::kInput, where() + ": the line is longer than " + std::to_string(kMaxLineBytes) + " bytes"};
  }
  if (const std::size_t bad = find_invalid_utf8(line_); bad != std::string::npos) {
    return Error{ErrorCode::kInput, where() + ": is not valid UTF-8 (at byte " + std::to_string(bad) + " of the line)"};
  }
  return {};
}

// Takes bytes of the buffer for good.
void LineFile::consume(std::size_t count) {
  hasher_.update(std::string_view(buffer_.data() + begin_, count));
  begin_ += count;
  bytes_ += count;
}

void LineFile::keep(std::string_view piece) {
  if (too_long_ || line_.size() + piece.size() > kMaxLineBytes) {
    too_long_ = true;
    line_.clear();
    line_.shrink_to_fit();
    return;
  }
  line_.append(piece);
}

Result<std::size_t> LineFile::fill() {
  if (descriptor_ < 0) return std::size_t{0};
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data(), buffer_.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) return unreadable(name_, errno);
  return static_cast<std::size_t>(count);
}

}  // namespace layerscope
