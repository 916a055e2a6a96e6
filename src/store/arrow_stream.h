// Messages of Apache Arrow's IPC streaming format: a schema, record batches, an end.
// (arrow.apache.org/docs/format/Columnar.html; tables as in Arrow's format/Schema.fbs and format/Message.fbs, metadata
// version 5.)
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "layerscope/tensor.h"

namespace layerscope {

/// A column, or the items of one. All may be null, as Arrow's libraries have it unless told otherwise.
struct ArrowField {
  enum class Kind : std::uint8_t { kNumber, kText, kList, kFixedList };
  std::string name;
  Kind kind = Kind::kNumber;
  DType dtype = DType::kF32;      ///< of numbers; Arrow has no kBF16
  std::int32_t length = 0;        ///< of fixed lists
  std::vector<ArrowField> items;  ///< of lists: one field
};

/// What stands in the body of a record batch. Fields come depth first, a list before its items. A field's buffers are
/// its validity bits (may be 0 bytes long where nothing is null), its offsets (int32; text and lists) and its values
/// (numbers and text). Each is padded to kArrowAlignment in the body.
struct ArrowBatch {
  struct Node {
    std::int64_t length = 0, nulls = 0;
  };
  std::int64_t rows = 0;
  std::vector<Node> nodes;
  std::vector<std::uint64_t> buffers;  ///< bytes of each, without padding
};

/// Where buffers begin, and the sizes of whole messages.
inline constexpr std::uint64_t kArrowAlignment = 64;
[[nodiscard]] constexpr std::uint64_t arrow_padded(std::uint64_t bytes) noexcept {
  return (bytes + kArrowAlignment - 1) / kArrowAlignment * kArrowAlignment;
}

/// The message that a stream begins with. `metadata` are keys and values of the schema.
[[nodiscard]] std::string arrow_schema_message(std::span<const ArrowField> fields,
                                               std::span<const std::pair<std::string, std::string>> metadata);
/// What stands before the body of a batch. Its size is a multiple of kArrowAlignment.
[[nodiscard]] std::string arrow_batch_message(const ArrowBatch& batch);
/// What a stream ends with.
inline constexpr std::string_view kArrowEnd{"\xFF\xFF\xFF\xFF\0\0\0\0", 8};

}  // namespace layerscope
