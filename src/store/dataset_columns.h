// The columns of a dataset that is made from a run: what they are in Arrow and in Hugging Face's datasets, and their
// values of some rows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "layerscope/error.h"
#include "store/arrow_stream.h"
#include "store/merged_rows.h"
#include "store/run.h"
#include "store/run_reader.h"

namespace layerscope {

/// A column and the tensor of its name.
struct DatasetColumn {
  enum class Kind : std::uint8_t {
    kNumber,   ///< one a row
    kId,       ///< the row's id, as text
    kText,     ///< the row's text
    kNumbers,  ///< a list of them a row
    kVector,   ///< of fixed width, one a row
    kVectors,  ///< a list of them a row
    kProbs,    ///< [head, query, key] a row
  };
  std::string name;
  Kind kind = Kind::kNumber;
  DType dtype = DType::kI64;           ///< as stored
  std::int64_t width = 0;              ///< of vectors
  std::int64_t heads = 0;              ///< of probabilities
  std::optional<std::size_t> offsets;  ///< of the tensor's rows, among RowShard's
  std::optional<std::size_t> tokens;   ///< of probabilities: the offsets of the tokens that attend
};

/// The columns of a run.
struct DatasetColumns {
  std::vector<DatasetColumn> columns;
  std::vector<std::string> offsets;  ///< for MergedRows
  TextOfRow text_of;                 ///< for the column `text`
};
/// With `text_of`, the column `text` stands behind `row` and `id`. Errors: kDamage; kUsage for vectors that are wider
/// than Arrow's lists can be.
[[nodiscard]] Result<DatasetColumns> dataset_columns(const RunView& run, TextOfRow text_of);

[[nodiscard]] ArrowField arrow_field(const DatasetColumn& column);
/// The column's entry of "features" in dataset_info.json, as datasets 2 to 4 read it.
[[nodiscard]] Json dataset_feature(const ArrowField& field);

/// Bytes of the values of one row, offsets left out.
[[nodiscard]] std::uint64_t row_bytes(const DatasetColumns& columns, const RowShard& shard, std::int64_t row);

/// The rows of `spans` as a record batch: its message, then its body, handed to `put` in pieces. Errors: kDamage where
/// a tensor is not what the manifest says; kResource for more items of lists than Arrow's offsets can count (2^31 - 1);
/// those of `put`.
[[nodiscard]] Status write_batch(const DatasetColumns& columns, std::span<const RowSpan> spans,
                                 const std::function<Status(std::span<const std::byte>)>& put);

}  // namespace layerscope
