// A shard from its first planned row to a finished file.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "store/file_io.h"
#include "store/layout.h"
#include "store/run.h"
#include "store/spool.h"

namespace layerscope {

/// One stack's tokens of a row, as they are stored.
struct RowTokens {
  std::span<const std::int32_t> ids;
  std::span<const std::uint8_t> special;   ///< as many as ids
  std::span<const std::uint8_t> type_ids;  ///< empty: all 0
  std::vector<std::int32_t> picks;         ///< picked positions, ascending; only where positions are picked
};

/// One row as the plan of a shard takes it.
struct PlannedRow {
  std::int64_t number = 0;
  std::string_view id;                       ///< compact JSON, empty for none
  std::array<RowTokens, 2> stacks;           ///< by StackId
  std::vector<std::int64_t> elements;        ///< that the row contributes to every site of the schema
  std::int32_t prompt_tokens = 0;            ///< of a generated row: how many of its tokens were given
  std::span<const std::int32_t> output_ids;  ///< of a generated row: the tokens that were chosen, the last one included
};

/// Counts one row more.
void add_row(ShardCounts& counts, const ShardSchema& schema, const PlannedRow& row);

/// A shard being written: everything that describes its rows is in place, values come in any order from any thread.
class ShardWriter {
 public:
  /// Creates the file `path` (a temporary name) with its header and its final size.
  [[nodiscard]] static Result<ShardWriter> create(const std::string& path, const ShardSchema& schema,
                                                  const ShardCounts& counts);

  [[nodiscard]] const ShardCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] const ShardLayout& layout() const noexcept { return layout_; }
  [[nodiscard]] const File& file() const noexcept { return file_; }
  /// Writes values of a site from its element `first` on.
  [[nodiscard]] Status write_values(std::size_t site, std::int64_t first, std::span<const std::byte> values) const;
  /// Reads back elements `first` ... of one of the tensors that describe the rows.
  template <class T>
  [[nodiscard]] Status read(std::string_view tensor, std::int64_t first, std::span<T> into) const {
    return file_.read_at(layout_.position(tensor) + static_cast<std::uint64_t>(first) * sizeof(T),
                         std::as_writable_bytes(into));
  }
  /// The hash of the whole file, after everything has been written; syncs it to disk.
  [[nodiscard]] Result<std::string> finish() const;

 private:
  ShardWriter(File file, ShardLayout layout, ShardCounts counts, const ShardSchema& schema);
  File file_;
  ShardLayout layout_;
  ShardCounts counts_;
  std::vector<std::uint64_t> site_positions_;
  std::vector<std::size_t> site_sizes_;
};

/// Rows planned for a shard, outside memory but for small buffers.
class ShardDraft {
 public:
  /// `schema` must live as long as the draft. Spools go to `folder`.
  ShardDraft(const ShardSchema& schema, const std::string& folder,
             std::size_t buffer_bytes = SpoolStream::kDefaultBuffer);

  [[nodiscard]] Status add(const PlannedRow& row);
  [[nodiscard]] const ShardCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] std::uint64_t tensor_bytes() const { return shard_tensor_bytes(*schema_, counts_); }
  /// The shard's file with everything in it but the values of the sites.
  [[nodiscard]] Result<ShardWriter> write_to(const std::string& path) const;

 private:
  struct Stack {
    SpoolStream offsets, ids, special, type_ids, pick_offsets, picks;
  };
  [[nodiscard]] Status add_stack(Stack& stack, std::size_t index, const RowTokens& tokens);
  const ShardSchema* schema_;
  ShardCounts counts_;
  SpoolStream rows_, id_, id_offsets_, prompt_tokens_, output_ids_, output_offsets_;
  std::vector<Stack> stacks_;              // as schema.stacks()
  std::vector<SpoolStream> site_offsets_;  // of every site; used for probs alone
};

}  // namespace layerscope
