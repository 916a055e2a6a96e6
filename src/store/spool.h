// Bytes of unknown number kept outside memory until their place is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/file_io.h"

namespace layerscope {

/// An append-only stream: small ones stay in memory, larger ones go to an unnamed file in `folder`.
class SpoolStream {
 public:
  explicit SpoolStream(std::string folder, std::size_t buffer_bytes = kDefaultBuffer)
      : folder_(std::move(folder)), buffer_bytes_(buffer_bytes) {}

  [[nodiscard]] Status append(std::span<const std::byte> bytes);
  template <class T>
  [[nodiscard]] Status append_value(T value) {
    return append(std::as_bytes(std::span<const T, 1>(&value, 1)));
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return spilled_ + buffer_.size(); }
  /// Copies `size` bytes from `begin` of the stream to `offset` of a file.
  [[nodiscard]] Status copy(std::uint64_t begin, std::uint64_t size, const File& to, std::uint64_t offset) const;
  /// Fills `into` from `begin` of the stream.
  [[nodiscard]] Status read(std::uint64_t begin, std::span<std::byte> into) const;
  [[nodiscard]] Status copy_all(const File& to, std::uint64_t offset) const { return copy(0, size(), to, offset); }

  static constexpr std::size_t kDefaultBuffer = std::size_t{64} << 10;

 private:
  std::string folder_;
  std::size_t buffer_bytes_;
  std::vector<std::byte> buffer_;
  std::uint64_t spilled_ = 0;
  File file_;
};

}  // namespace layerscope
