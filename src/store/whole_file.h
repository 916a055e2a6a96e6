// A file that appears when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "layerscope/error.h"
#include "store/file_io.h"

namespace layerscope {

/// Written under a temporary name beside its own; gone at the end of its life unless finished.
class WholeFile {
 public:
  explicit WholeFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".partial") {}
  ~WholeFile();
  WholeFile(const WholeFile&) = delete;
  WholeFile& operator=(const WholeFile&) = delete;

  [[nodiscard]] Status open();
  [[nodiscard]] Status write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  /// At the end of what was appended so far.
  [[nodiscard]] Status append(std::string_view text);
  /// Gives it its name: synced, renamed, the folder synced.
  [[nodiscard]] Status finish();

 private:
  std::string path_, temporary_;
  File file_;
  std::uint64_t appended_ = 0;
};

}  // namespace layerscope
