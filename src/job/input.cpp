#include "job/input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/try.h"
#include "base/utf8.h"
#include "job/row_parser.h"

namespace layerscope {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t") == std::string_view::npos; }

/// Lines of a file or of stdin.
class LineRows final : public RowReader {
 public:
  LineRows(int descriptor, std::string name, bool json_lines, std::optional<std::uint64_t> total)
      : descriptor_(descriptor), name_(std::move(name)), json_lines_(json_lines), total_(total), buffer_(kReadBytes) {}
  ~LineRows() override {
    if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  }
  LineRows(const LineRows&) = delete;
  LineRows& operator=(const LineRows&) = delete;

  Result<std::optional<InputRow>> next() override {
    while (true) {
      LAYERSCOPE_ASSIGN(const bool found, read_line());
      if (!found) return std::optional<InputRow>();
      const std::int64_t number = lines_++;
      if (!too_long_ && is_blank(line_)) continue;
      InputRow row;
      row.number = number;
      row.where = name_ + ":" + std::to_string(lines_);
      if (Status parsed = parse(row); !parsed) row.bad = parsed.error();
      return std::optional<InputRow>(std::move(row));
    }
  }
  std::uint64_t bytes() const override { return bytes_; }
  std::string prefix_hash() const override { return hasher_.hex(); }
  std::optional<std::uint64_t> total_bytes() const override { return total_; }
  std::string_view kind() const override { return json_lines_ ? "jsonl" : "txt"; }

 private:
  /// Takes bytes of the buffer for good.
  void consume(std::size_t count) {
    hasher_.update(std::string_view(buffer_.data() + begin_, count));
    begin_ += count;
    bytes_ += count;
  }

  /// Reads the next line into line_, without its end; false at the end of the input.
  Result<bool> read_line() {
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
    return any;
  }

  void keep(std::string_view piece) {
    if (too_long_ || line_.size() + piece.size() > kMaxLineBytes) {
      too_long_ = true;
      line_.clear();
      line_.shrink_to_fit();
      return;
    }
    line_.append(piece);
  }

  Result<std::size_t> fill() {
    ssize_t count = 0;
    do {
      count = ::read(descriptor_, buffer_.data(), buffer_.size());
    } while (count < 0 && errno == EINTR);
    if (count < 0)
      return Error{ErrorCode::kRuntime, name_ + ": cannot be read (" + std::generic_category().message(errno) + ")"};
    return static_cast<std::size_t>(count);
  }

  Status parse(InputRow& row) {
    if (too_long_) {
      return Error{ErrorCode::kInput,
                   row.where + ": the line is longer than " + std::to_string(kMaxLineBytes) + " bytes"};
    }
    if (const std::size_t bad = find_invalid_utf8(line_); bad != std::string::npos) {
      return Error{ErrorCode::kInput,
                   row.where + ": is not valid UTF-8 (at byte " + std::to_string(bad) + " of the line)"};
    }
    if (json_lines_) return parse_json_row(line_, row.where, row);
    row.row.text = std::move(line_);
    return {};
  }

  int descriptor_;
  std::string name_;
  bool json_lines_;
  std::optional<std::uint64_t> total_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::string line_;
  bool too_long_ = false;
  std::int64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  Hasher hasher_;
};

/// TEXT arguments. Each counts with a NUL behind it, which no argument can hold.
class ArgumentRows final : public RowReader {
 public:
  explicit ArgumentRows(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const std::string& text : texts_) total_ += text.size() + 1;
  }

  Result<std::optional<InputRow>> next() override {
    if (index_ == texts_.size()) return std::optional<InputRow>();
    InputRow row;
    row.number = static_cast<std::int64_t>(index_);
    const std::string& text = texts_[index_++];
    hasher_.update(text);
    hasher_.update(std::string_view("\0", 1));
    bytes_ += text.size() + 1;
    row.where = "TEXT argument " + std::to_string(index_);
    if (is_valid_utf8(text)) {
      row.row.text = text;
    } else {
      row.bad = Error{ErrorCode::kInput, row.where + ": is not valid UTF-8"};
    }
    return std::optional<InputRow>(std::move(row));
  }
  std::uint64_t bytes() const override { return bytes_; }
  std::string prefix_hash() const override { return hasher_.hex(); }
  std::optional<std::uint64_t> total_bytes() const override { return total_; }
  std::string_view kind() const override { return "arguments"; }

 private:
  std::vector<std::string> texts_;
  std::size_t index_ = 0;
  std::uint64_t bytes_ = 0, total_ = 0;
  Hasher hasher_;
};

}  // namespace

Result<std::unique_ptr<RowReader>> open_rows(const std::string& path, bool json_lines) {
  if (path == "-")
    return std::unique_ptr<RowReader>(std::make_unique<LineRows>(STDIN_FILENO, "<stdin>", json_lines, std::nullopt));
  const auto failed = [&](int error_number) {
    return Error{ErrorCode::kRuntime,
                 path + ": cannot be read (" + std::generic_category().message(error_number) + ")"};
  };
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) return failed(errno);
  struct stat status {};
  const int result = ::fstat(descriptor, &status);
  if (result != 0 || S_ISDIR(status.st_mode)) {
    const int error_number = result != 0 ? errno : EISDIR;
    ::close(descriptor);
    return failed(error_number);
  }
  const auto total = S_ISREG(status.st_mode) ? std::optional(static_cast<std::uint64_t>(status.st_size)) : std::nullopt;
  return std::unique_ptr<RowReader>(std::make_unique<LineRows>(descriptor, path, path.ends_with(".jsonl"), total));
}

std::unique_ptr<RowReader> rows_of(std::vector<std::string> texts) {
  return std::make_unique<ArgumentRows>(std::move(texts));
}

}  // namespace layerscope
