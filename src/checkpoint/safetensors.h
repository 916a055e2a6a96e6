// The header of a safetensors file: parsed and proven against the file's size, without any I/O.
//
// Format: https://huggingface.co/docs/safetensors (u64 little-endian length N, N bytes of JSON, data). Refused is what
// the reference reader (safetensors/src/tensor.rs) refuses, in its order, and what the description forbids but readers
// let pass: a first byte other than '{', duplicate keys at any level, unknown keys in a tensor's entry, offsets and
// dimensions that are not written as plain non-negative integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tensor.h"

namespace layerscope {

/// The reference reader's limit.
inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;
/// Limits of our own, far above any published checkpoint, that keep what a header can make us allocate below 100 MB.
inline constexpr std::size_t kMaxTensorsInFile = 200'000;
inline constexpr std::size_t kMaxNameBytes = 4096;                         ///< of one name
inline constexpr std::size_t kMaxNameBytesInFile = std::size_t{16} << 20;  ///< of all names together
inline constexpr std::size_t kMaxMetadataEntries = 10'000;

/// One tensor of a header.
struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::uint64_t begin = 0;  ///< bytes from SafetensorsHeader::data_offset
  std::uint64_t end = 0;
};

/// What a header says, all of it checked: the tensors lie end to end in `tensors`' order and fill the file exactly.
/// `__metadata__` is checked and dropped.
struct SafetensorsHeader {
  std::uint64_t data_offset = 0;  ///< where the data starts in the file
  std::vector<TensorEntry> tensors;
};

/// Reads the header of the file whose whole content is `file`; only the header's bytes are touched. Errors are
/// ErrorCode::kModel, and start with `name`.
[[nodiscard]] Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file, std::string_view name);

}  // namespace layerscope
