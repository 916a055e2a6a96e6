// A finished shard, read in pieces.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "store/file_io.h"
#include "store/layout.h"

namespace layerscope {

/// Reads the header of a safetensors file of ours from its JSON text. `data_bytes` is what follows the header. Every
/// tensor lies where the layout rules put it. Errors: kDamage with `name`.
[[nodiscard]] Result<std::vector<ShardTensor>> parse_shard_header(std::string_view json, std::uint64_t data_bytes,
                                                                  const std::string& name);

/// An open shard. Nothing is mapped: readers take what they need.
class ShardReader {
 public:
  [[nodiscard]] static Result<ShardReader> open(const std::string& path);

  [[nodiscard]] const std::vector<ShardTensor>& tensors() const noexcept { return tensors_; }
  [[nodiscard]] const ShardTensor* find(std::string_view name) const noexcept;
  [[nodiscard]] const File& file() const noexcept { return file_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return data_begin_ + data_bytes_; }
  /// Where the tensors' first data byte lies in the file.
  [[nodiscard]] std::uint64_t data_begin() const noexcept { return data_begin_; }
  /// Fills `into` from byte `offset` of a tensor.
  [[nodiscard]] Status read(const ShardTensor& tensor, std::uint64_t offset, std::span<std::byte> into) const;
  /// A whole tensor of one dimension. Errors: kDamage if it is missing or of another type.
  [[nodiscard]] Result<std::vector<std::int64_t>> read_i64(std::string_view name) const;

 private:
  File file_;
  std::vector<ShardTensor> tensors_;
  std::uint64_t data_begin_ = 0;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace layerscope
