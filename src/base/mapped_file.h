// A file mapped read-only into memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "layerscope/error.h"

namespace layerscope {

/// Owns a read-only mapping of a regular file. Movable; unmapped at the end of its life.
class MappedFile {
 public:
  MappedFile() = default;
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// Maps a regular file (never a FIFO, device or folder: opened without blocking, checked by fstat). An empty file
  /// gives an empty span. Errors carry `code` and the path.
  [[nodiscard]] static Result<MappedFile> open(const std::string& path, ErrorCode code);

  /// Maps the first `size` bytes of an open file, which may be closed afterwards; `path` is what errors call it.
  [[nodiscard]] static Result<MappedFile> of(int descriptor, std::uint64_t size, const std::string& path,
                                             ErrorCode code);

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace layerscope
