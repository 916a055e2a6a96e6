// The lines of a file, of stdin or of a text, one at a time: a file larger than memory works.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "layerscope/error.h"

namespace layerscope {

/// Longest line that is read (64 MiB): a longer one is skipped over without being held.
inline constexpr std::size_t kMaxLineBytes = std::size_t{64} << 20;

/// A byte order mark at the start and a CR at the end of a line are dropped.
class LineFile {
 public:
  /// `path` "-" is stdin. Errors: kRuntime for what cannot be read.
  [[nodiscard]] static Result<std::unique_ptr<LineFile>> open(const std::string& path);
  /// Text that is there already, under a name for messages.
  [[nodiscard]] static std::unique_ptr<LineFile> of(std::string_view text, std::string name);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// Reads the next line; false at the end. Errors: kRuntime if the file itself cannot be read.
  [[nodiscard]] Result<bool> next();
  /// The line that next() read, without its end.
  [[nodiscard]] std::string& line() noexcept { return line_; }
  /// Nothing but blanks and tabs.
  [[nodiscard]] bool blank() const noexcept {
    return !too_long_ && line_.find_first_not_of(" \t") == std::string::npos;
  }
  /// Lines read so far.
  [[nodiscard]] std::int64_t count() const noexcept { return lines_; }
  /// "FILE:LINE" with lines from 1.
  [[nodiscard]] std::string where() const { return name_ + ":" + std::to_string(lines_); }
  /// Whether the line can be read as text. Errors (kInput): too long, not UTF-8, with where().
  [[nodiscard]] Status check() const;

  /// Bytes up to the end of the last line read (at the end: all), their XXH3-128, and all bytes if known.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::string prefix_hash() const { return hasher_.hex(); }
  [[nodiscard]] std::optional<std::uint64_t> total_bytes() const noexcept { return total_; }

 private:
  LineFile(int descriptor, std::string name, std::optional<std::uint64_t> total);
  void consume(std::size_t count);
  void keep(std::string_view piece);
  [[nodiscard]] Result<std::size_t> fill();

  int descriptor_;  // -1: of a text
  std::string name_;
  std::optional<std::uint64_t> total_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::string line_;
  bool too_long_ = false;
  std::int64_t lines_ = 0;
  std::uint64_t bytes_ = 0;
  Hasher hasher_;
};

}  // namespace layerscope
