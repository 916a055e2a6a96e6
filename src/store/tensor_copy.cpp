#include "store/tensor_copy.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/half.h"
#include "base/try.h"

namespace layerscope {
namespace {

/// float16 or bfloat16 to float32.
std::vector<std::byte> widened(std::span<const std::byte> halves, DType dtype) {
  std::vector<std::byte> wide(halves.size() * 2);
  for (std::size_t at = 0; at < halves.size(); at += 2) {
    std::uint16_t half = 0;
    std::memcpy(&half, halves.data() + at, sizeof(half));
    const float value = dtype == DType::kBF16 ? bf16_to_float(half) : f16_to_float(half);
    std::memcpy(wide.data() + 2 * at, &value, sizeof(value));
  }
  return wide;
}

}  // namespace

Status copy_units(const ShardReader& shard, const ShardTensor& tensor, std::int64_t first, std::int64_t count, DType to,
                  const std::function<Status(std::span<const std::byte>)>& put) {
  if (first < 0 || count < 0 || tensor.shape[0] < count || tensor.shape[0] - count < first) {
    return Error{ErrorCode::kDamage, shard.file().path() + ": the offsets of tensor \"" + tensor.name + "\" leave it"};
  }
  const std::uint64_t unit =
      dtype_size(tensor.dtype) * static_cast<std::uint64_t>(tensor.shape.rank() == 2 ? tensor.shape[1] : 1);
  std::uint64_t begin = static_cast<std::uint64_t>(first) * unit;
  std::uint64_t bytes = static_cast<std::uint64_t>(count) * unit;
  const bool wider = to == DType::kF32 && (tensor.dtype == DType::kF16 || tensor.dtype == DType::kBF16);
  std::vector<std::byte> piece;
  while (bytes > 0) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kCopyPiece)));
    LAYERSCOPE_TRY(shard.read(tensor, begin, piece));
    begin += piece.size();
    bytes -= piece.size();
    LAYERSCOPE_TRY(wider ? put(widened(piece, tensor.dtype)) : put(piece));
  }
  return {};
}

}  // namespace layerscope
