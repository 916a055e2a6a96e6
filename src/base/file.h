// Regular files opened for reading, and nothing that only looks like one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "layerscope/error.h"

namespace layerscope {

/// An open regular file. Movable; closed at the end of its life.
class RegularFile {
 public:
  RegularFile() = default;
  ~RegularFile();
  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&& other) noexcept;
  RegularFile(const RegularFile&) = delete;
  RegularFile& operator=(const RegularFile&) = delete;

  /// Opens without blocking and checks by fstat: a FIFO, device, socket or folder is an error, as is a file that is
  /// missing or unreadable. Errors carry `code` and the path.
  [[nodiscard]] static Result<RegularFile> open(const std::string& path, ErrorCode code);

  /// Fills the front of `into` from where the last read ended. The number of bytes read; 0 at the end of the file.
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> into);

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  /// Bytes, when it was opened.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  ErrorCode code_ = ErrorCode::kRuntime;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// The whole content of a regular file of at most `max_bytes`.
[[nodiscard]] Result<std::string> read_file(const std::string& path, ErrorCode code, std::size_t max_bytes);

}  // namespace layerscope
