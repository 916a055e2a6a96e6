#include "store/shard_check.h"

#include "base/numbers.h"
#include "base/try.h"
#include "store/shard_reader.h"

namespace layerscope {
namespace {

class ShardChecker {
 public:
  ShardChecker(const ShardReader& shard, const ShardSchema& schema) : shard_(shard), schema_(schema) {
    counts_.elements.resize(schema.sites.size());
  }

  Status check(const ShardRecord& record, std::int64_t first_row) {
    LAYERSCOPE_TRY(check_rows(record, first_row));
    for (const StackId stack : schema_.stacks()) LAYERSCOPE_TRY(check_stack(stack));
    if (counts_.all_tokens() != record.tokens) {
      return damage("holds " + std::to_string(counts_.all_tokens()) + " tokens, the journal says " +
                    std::to_string(record.tokens));
    }
    if (shard_.find("id_offsets") != nullptr) {
      counts_.has_ids = true;
      LAYERSCOPE_ASSIGN(const auto offsets, offsets_of("id_offsets"));
      counts_.id_bytes = offsets.back();
    }
    if (schema_.generated) {
      LAYERSCOPE_ASSIGN(const auto offsets, offsets_of("output_offsets"));
      counts_.output_tokens = offsets.back();
    }
    for (std::size_t site = 0; site < schema_.sites.size(); ++site) LAYERSCOPE_TRY(count_site(site));
    return check_header();
  }

 private:
  Error damage(const std::string& what) const { return {ErrorCode::kDamage, shard_.file().path() + ": " + what}; }

  Status check_rows(const ShardRecord& record, std::int64_t first_row) {
    LAYERSCOPE_ASSIGN(const auto rows, shard_.read_i64("row"));
    counts_.rows = static_cast<std::int64_t>(rows.size());
    if (counts_.rows != record.rows) {
      return damage("holds " + std::to_string(counts_.rows) + " rows, the journal says " + std::to_string(record.rows));
    }
    std::int64_t next = first_row;
    for (const std::int64_t row : rows) {
      if (row < next) return damage("its row numbers do not ascend at row " + std::to_string(row));
      next = row + 1;
    }
    if (next != record.next_row) {
      return damage("ends before row " + std::to_string(next) + ", the journal says " +
                    std::to_string(record.next_row));
    }
    return {};
  }

  /// Offsets of every row: from 0, ascending, one more than there are rows.
  Result<std::vector<std::int64_t>> offsets_of(const std::string& name) const {
    LAYERSCOPE_ASSIGN(auto offsets, shard_.read_i64(name));
    if (static_cast<std::int64_t>(offsets.size()) != counts_.rows + 1 || offsets.front() != 0) {
      return damage("tensor \"" + name + "\" is not one offset a row, from 0, and the end");
    }
    for (std::size_t row = 1; row < offsets.size(); ++row) {
      if (offsets[row] < offsets[row - 1])
        return damage("tensor \"" + name + "\" descends at row " + std::to_string(row - 1) + " of the shard");
    }
    if (static_cast<std::uint64_t>(offsets.back()) > shard_.bytes())
      return damage("tensor \"" + name + "\" ends outside of the shard");
    return offsets;
  }

  Status check_stack(StackId stack) {
    const auto index = static_cast<std::size_t>(stack);
    const std::string prefix = schema_.prefix(stack);
    LAYERSCOPE_ASSIGN(const auto offsets, offsets_of(prefix + "offsets"));
    counts_.tokens[index] = offsets.back();
    counts_.has_types[index] = shard_.find(prefix + "type_ids") != nullptr;
    if (!schema_.picks(stack)) return {};
    LAYERSCOPE_ASSIGN(const auto pick_offsets, offsets_of(prefix + "pos_offsets"));
    counts_.picks[index] = pick_offsets.back();
    return check_picks(prefix + "pos", offsets, pick_offsets);
  }

  Status check_picks(const std::string& name, const std::vector<std::int64_t>& offsets,
                     const std::vector<std::int64_t>& pick_offsets) const {
    const ShardTensor* tensor = shard_.find(name);
    if (tensor == nullptr || tensor->dtype != DType::kI32 ||
        tensor->end - tensor->begin != 4 * static_cast<std::uint64_t>(pick_offsets.back())) {
      return damage("tensor \"" + name + "\" does not fit its offsets");
    }
    std::vector<std::int32_t> picks(static_cast<std::size_t>(pick_offsets.back()));
    LAYERSCOPE_TRY(shard_.read(*tensor, 0, std::as_writable_bytes(std::span(picks))));
    for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
      std::int64_t next = 0;
      for (std::int64_t pick = pick_offsets[row]; pick < pick_offsets[row + 1]; ++pick) {
        const std::int64_t position = picks[static_cast<std::size_t>(pick)];
        if (position < next || position >= offsets[row + 1] - offsets[row]) {
          return damage("tensor \"" + name + "\" has a position out of place in row " + std::to_string(row) +
                        " of the shard");
        }
        next = position + 1;
      }
    }
    return {};
  }

  Status count_site(std::size_t index) {
    const StoredSite& site = schema_.sites[index];
    const auto stack = static_cast<std::size_t>(token_stack(site));
    std::int64_t rows = 0;
    switch (site.unit) {
      case StoredUnit::kTokens: rows = counts_.tokens[stack]; break;
      case StoredUnit::kPooled: rows = counts_.rows; break;
      case StoredUnit::kPicks: rows = counts_.picks[stack]; break;
      case StoredUnit::kProbs: {
        LAYERSCOPE_ASSIGN(const auto offsets, offsets_of(site.name + ".offsets"));
        counts_.elements[index] = offsets.back();
        return {};
      }
    }
    const auto elements = checked_multiply(static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(site.width));
    if (!elements || *elements > shard_.bytes()) return damage("is too small for site \"" + site.name + "\"");
    counts_.elements[index] = static_cast<std::int64_t>(*elements);
    return {};
  }

  /// What was counted must give exactly this file's header.
  Status check_header() const {
    const ShardLayout layout(shard_tensors(schema_, counts_));
    std::string header(layout.header().size(), '\0');
    if (shard_.bytes() != layout.file_bytes()) {
      return damage("has " + std::to_string(shard_.bytes()) + " bytes, its rows give " +
                    std::to_string(layout.file_bytes()));
    }
    LAYERSCOPE_TRY(shard_.file().read_at(0, std::as_writable_bytes(std::span(header))));
    if (header != layout.header()) return damage("its header is not the one that its rows and the manifest give");
    return {};
  }

  const ShardReader& shard_;
  const ShardSchema& schema_;
  ShardCounts counts_;
};

}  // namespace

Status check_shard(const std::string& path, const ShardSchema& schema, const ShardRecord& record,
                   std::int64_t first_row) {
  LAYERSCOPE_ASSIGN(const File file, File::open_read(path));
  LAYERSCOPE_ASSIGN(const std::uint64_t size, file.size());
  if (size != record.bytes) {
    return Error{ErrorCode::kDamage,
                 path + ": has " + std::to_string(size) + " bytes, the journal says " + std::to_string(record.bytes)};
  }
  LAYERSCOPE_ASSIGN(const std::string hash, hash_open_file(file, size));
  if (hash != record.xxh128)
    return Error{ErrorCode::kDamage, path + ": has the hash " + hash + ", the journal says " + record.xxh128};
  LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(path));
  return ShardChecker(shard, schema).check(record, first_row);
}

}  // namespace layerscope
