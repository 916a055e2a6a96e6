// Zip archives of uncompressed files, of any size (PKWARE APPNOTE 6.3, ZIP64): what an .npz is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/file_io.h"

namespace layerscope {

/// CRC-32 (ISO 3309) of `bytes` after what gave `crc`; start with 0.
[[nodiscard]] std::uint32_t crc32(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

/// Writes an archive front to back. Times are not recorded.
class ZipWriter {
 public:
  explicit ZipWriter(const File& file) : file_(file) {}
  [[nodiscard]] Status begin(const std::string& name);
  [[nodiscard]] Status write(std::span<const std::byte> bytes);
  /// Ends the entry that was begun.
  [[nodiscard]] Status end();
  /// Writes the directory; nothing may follow.
  [[nodiscard]] Status finish();

 private:
  struct Entry {
    std::string name;
    std::uint64_t offset = 0, size = 0;
    std::uint32_t crc = 0;
  };
  const File& file_;
  std::uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace layerscope
