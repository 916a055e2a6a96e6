// A run's rows for probing: mapped shards, rows of all parts in the order of their numbers, and the sites that are
// looked at.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "probe/gather.h"
#include "store/mapped_shard.h"
#include "store/run_reader.h"

namespace layerscope {

class RunRows {
 public:
  /// Where a row stands.
  struct Place {
    std::int64_t number = 0;
    std::size_t shard = 0, row = 0;
  };
  /// What a row's samples are cut from: `units` stored vectors, `first` ... of its shard's.
  struct Units {
    std::int64_t first = 0, count = 0;
  };

  /// Errors: those of open_run; kDamage; kUsage for layers and sites that the run does not hold, or that do not all
  /// hold one vector a row, or all one a token of the same stack.
  [[nodiscard]] static Result<RunRows> open(const std::string& folder, bool allow_incomplete,
                                            const GatherOptions& options);

  [[nodiscard]] const Manifest& manifest() const noexcept { return run_.parts.front().manifest; }
  [[nodiscard]] const std::vector<StoredSite>& sites() const noexcept { return sites_; }
  /// Of all the sites: kTokens, kPooled or kPicks.
  [[nodiscard]] StoredUnit unit() const noexcept { return sites_.front().unit; }
  [[nodiscard]] std::span<const Place> rows() const noexcept { return rows_; }

  [[nodiscard]] std::optional<std::string> id(const Place& row) const { return shards_[row.shard].ids.id(row.row); }
  [[nodiscard]] std::span<const std::int32_t> ids(const Place& row) const;
  [[nodiscard]] std::span<const std::uint8_t> special(const Place& row) const;
  /// The stored vectors of a row.
  [[nodiscard]] Units units(const Place& row) const;
  /// Which tokens they are, where positions were picked.
  [[nodiscard]] std::span<const std::int32_t> positions(const Place& row) const;
  /// Stored vectors `first` ... of a shard at a site.
  [[nodiscard]] RowsView values(std::size_t site, std::size_t shard, const Units& units) const;

 private:
  struct Shard {
    MappedShard file;
    RowIds ids;
    std::span<const std::int64_t> offsets, pick_offsets;
    std::span<const std::int32_t> input_ids, picks;
    std::span<const std::uint8_t> special;
    std::vector<const std::byte*> values;  // by site
  };
  [[nodiscard]] Status choose_sites(const std::string& folder, const GatherOptions& options);
  [[nodiscard]] Status add_shard(const std::string& path, const ShardRecord& record);

  RunView run_;
  std::vector<StoredSite> sites_;
  std::vector<Shard> shards_;
  std::vector<Place> rows_;
};

}  // namespace layerscope
