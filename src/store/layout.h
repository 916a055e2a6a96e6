// What stands in a shard and where: known before any value is computed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tap.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// One tensor of a shard. Offsets count from the first data byte, as in the header of a safetensors file.
struct ShardTensor {
  std::string name;
  DType dtype = DType::kU8;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// What all shards of a run have in common.
struct ShardSchema {
  std::vector<StoredSite> sites;
  bool two_stacks = false;
  StackId main = StackId::kEncoder;  ///< the stack of a model that has only one
  bool generated = false;            ///< rows were written on: prompt_len and output_ids stand beside them
  /// "enc." or "dec." where the model has both stacks.
  [[nodiscard]] std::string prefix(StackId stack) const;
  [[nodiscard]] std::vector<StackId> stacks() const;
  /// True if positions of this stack's tokens are picked for some site.
  [[nodiscard]] bool picks(StackId stack) const;
};

/// The stack whose tokens the rows of a site are: the encoder's for keys and values of a cross attention.
[[nodiscard]] StackId token_stack(const StoredSite& site) noexcept;

/// How much of everything a shard holds. Arrays by StackId.
struct ShardCounts {
  std::int64_t rows = 0;
  std::array<std::int64_t, 2> tokens{};
  std::array<std::int64_t, 2> picks{};
  std::array<bool, 2> has_types{};
  bool has_ids = false;
  std::int64_t id_bytes = 0;
  std::int64_t output_tokens = 0;      ///< of all rows; 0 unless they are generated
  std::vector<std::int64_t> elements;  ///< of every site of the schema
  [[nodiscard]] std::int64_t all_tokens() const noexcept { return tokens[0] + tokens[1]; }
};

/// The tensors of a shard, not yet placed.
[[nodiscard]] std::vector<ShardTensor> shard_tensors(const ShardSchema& schema, const ShardCounts& counts);
/// Bytes of all tensors of such a shard.
[[nodiscard]] std::uint64_t shard_tensor_bytes(const ShardSchema& schema, const ShardCounts& counts);

/// Tensors placed in a safetensors file: by descending alignment, then name; the first data byte 8-aligned.
class ShardLayout {
 public:
  explicit ShardLayout(std::vector<ShardTensor> tensors);
  /// Length and header: everything before the first data byte.
  [[nodiscard]] const std::string& header() const noexcept { return header_; }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return header_.size() + data_bytes_; }
  [[nodiscard]] const std::vector<ShardTensor>& tensors() const noexcept { return tensors_; }
  /// Where a tensor begins in the file; the tensor must exist.
  [[nodiscard]] std::uint64_t position(std::string_view name) const noexcept;
  [[nodiscard]] const ShardTensor* find(std::string_view name) const noexcept;

 private:
  std::vector<ShardTensor> tensors_;
  std::string header_;
  std::uint64_t data_bytes_ = 0;
};

/// "shard-00012.safetensors".
[[nodiscard]] std::string shard_file_name(std::int64_t shard);

}  // namespace layerscope
