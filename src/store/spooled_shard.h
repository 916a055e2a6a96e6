// A shard of rows whose lengths are known only once they are computed.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/shard_writer.h"
#include "store/spool.h"

namespace layerscope {

/// Collects rows that grow while they are computed (generation), several of them at once and in any order, and
/// assembles them in the order of their numbers. Values wait in unnamed files; memory holds a few bytes a piece. All
/// functions are safe to call from several threads. The bytes of the shard are those that a ShardDraft and a
/// ShardWriter would give.
class SpooledShard {
 public:
  /// `schema` must live as long as the shard. Spools go to `folder`. Sites of probabilities are laid out by the caller:
  /// a row's pieces follow each other as they were appended.
  SpooledShard(const ShardSchema& schema, std::string folder, std::size_t buffer_bytes = SpoolStream::kDefaultBuffer);

  /// Appends values of a row at a site; pieces of one row and site must come in order.
  [[nodiscard]] Status append(std::int64_t row, std::size_t site, std::span<const std::byte> values);
  /// The row has all its values: what describes it. `row.elements` is counted here and may be empty.
  [[nodiscard]] Status finish_row(const PlannedRow& row);
  [[nodiscard]] std::int64_t finished_rows() const;
  /// How much the rows that are finished make.
  [[nodiscard]] ShardCounts counts() const;
  /// Writes the rows that are finished to `path`, ascending by number; rows that were begun only are left out.
  [[nodiscard]] Result<ShardWriter> assemble(const std::string& path) const;

 private:
  struct Piece {
    std::uint64_t begin = 0, size = 0;
  };
  struct StoredTokens {
    std::vector<std::int32_t> ids, picks;
    std::vector<std::uint8_t> special, type_ids;
  };
  struct Row {
    std::vector<std::vector<Piece>> pieces;  // of every site
    std::vector<std::int64_t> elements;
    std::string id;
    std::array<StoredTokens, 2> stacks;
    std::int32_t prompt_tokens = 0;
    std::vector<std::int32_t> output_ids;
    bool finished = false;
  };
  Row& row_of(std::int64_t number);
  [[nodiscard]] static PlannedRow planned(std::int64_t number, const Row& row);

  const ShardSchema& schema_;
  const std::string folder_;
  const std::size_t buffer_bytes_;
  mutable std::mutex mutex_;
  std::vector<SpoolStream> sites_;
  std::map<std::int64_t, Row> rows_;
  ShardCounts counts_;
};

}  // namespace layerscope
