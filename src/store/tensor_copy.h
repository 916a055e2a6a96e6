// Values of a shard's tensor, on their way into another file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "layerscope/error.h"
#include "store/shard_reader.h"

namespace layerscope {

/// Most bytes that are held at a time while values are copied, before they are widened.
inline constexpr std::size_t kCopyPiece = std::size_t{1} << 20;

/// Hands `count` units of a tensor, from unit `first` on, to `put` in pieces; a unit is a row of a matrix or an element
/// of a tensor of one dimension. float16 and bfloat16 become float32 where `to` is kF32, everything else stays as it
/// is. Errors: kDamage for units that the tensor does not have, those of reading and of `put`.
[[nodiscard]] Status copy_units(const ShardReader& shard, const ShardTensor& tensor, std::int64_t first,
                                std::int64_t count, DType to,
                                const std::function<Status(std::span<const std::byte>)>& put);

}  // namespace layerscope
