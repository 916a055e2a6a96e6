// `model.safetensors.index.json`: which shard holds which tensor. Parsed without any I/O.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"

namespace layerscope {

inline constexpr std::size_t kMaxShards = 10'000;
/// Tensors of a whole checkpoint.
inline constexpr std::size_t kMaxTensors = 500'000;
/// The largest published index has less than 10 MB.
inline constexpr JsonLimits kIndexLimits{.max_bytes = std::size_t{32} << 20, .max_depth = 16};

struct ShardIndex {
  std::vector<std::string> shards;                           ///< base names, sorted, each once
  std::vector<std::pair<std::string, std::size_t>> tensors;  ///< name and shard number, sorted by name
  /// The shard of that tensor, or null.
  [[nodiscard]] const std::size_t* find(std::string_view tensor) const noexcept;
};

/// Takes the index apart. Its file names are hostile input: each must be a plain base name that ends with
/// `.safetensors`. `metadata.total_size` must be a non-negative number if it is there, but is not compared with
/// anything: writers disagree on what it counts. Errors are ErrorCode::kModel, and start with `name`.
[[nodiscard]] Result<ShardIndex> parse_shard_index(const Json& index, std::string_view name);

/// Whether this may name a file of the model's own folder: no separator, "..", drive, or control character.
[[nodiscard]] bool is_plain_file_name(std::string_view name) noexcept;

}  // namespace layerscope
