#include "store/run_row.h"

#include <algorithm>
#include <span>

#include "base/try.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace layerscope {
namespace {

Error damage(const ShardReader& shard, const std::string& what) {
  return Error{ErrorCode::kDamage, shard.file().path() + ": " + what + "; layerscope verify tells more"};
}

// A row's share of a tensor that these offsets divide.
struct Part {
  std::int64_t first = 0, count = 0;
};
Result<Part> part_of(const ShardReader& shard, const std::string& offsets_name, std::size_t index) {
  LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> offsets, shard.read_i64(offsets_name));
  if (index + 1 >= offsets.size() || offsets[index] < 0 || offsets[index + 1] < offsets[index])
    return damage(shard, "tensor \"" + offsets_name + "\" holds no offsets");
  return Part{offsets[index], offsets[index + 1] - offsets[index]};
}

Status read_values(const ShardReader& shard, const std::string& name, const Part& part, FloatTable& table) {
  const ShardTensor* tensor = shard.find(name);
  if (tensor == nullptr || tensor->shape.rank() != 2 || tensor->shape[0] < part.count ||
      tensor->shape[0] - part.count < part.first)
    return damage(shard, "tensor \"" + name + "\" is missing or too short");
  table.rows = part.count;
  table.width = tensor->shape[1];
  const auto elements = static_cast<std::size_t>(table.rows * table.width);
  const std::size_t size = dtype_size(tensor->dtype);
  std::vector<std::byte> bytes(elements * size);
  LAYERSCOPE_TRY(shard.read(*tensor, static_cast<std::uint64_t>(part.first * table.width) * size, bytes));
  if (append_floats(tensor->dtype, bytes.data(), elements, table.values)) return {};
  return damage(shard, "tensor \"" + name + "\" is no float tensor");
}

Result<RunRow> read_row(const ShardReader& shard, std::size_t index, const ShardSchema& schema,
                        const StoredSite& site) {
  RunRow row;
  const std::string prefix = schema.prefix(token_stack(site));
  LAYERSCOPE_ASSIGN(Part part, part_of(shard, prefix + "offsets", index));
  row.tokens = part.count;
  if (site.unit == StoredUnit::kPooled) {
    row.pooled = true;
    part = {static_cast<std::int64_t>(index), 1};
  } else if (site.unit == StoredUnit::kPicks) {
    LAYERSCOPE_ASSIGN(part, part_of(shard, prefix + "pos_offsets", index));
    const ShardTensor* tensor = shard.find(prefix + "pos");
    if (tensor == nullptr || tensor->dtype != DType::kI32 || tensor->shape.elements() < part.first + part.count)
      return damage(shard, "tensor \"" + prefix + "pos\" is missing or too short");
    row.picked = true;
    row.positions.resize(static_cast<std::size_t>(part.count));
    LAYERSCOPE_TRY(shard.read(*tensor, static_cast<std::uint64_t>(part.first) * sizeof(std::int32_t),
                              std::as_writable_bytes(std::span(row.positions))));
  }
  LAYERSCOPE_TRY(read_values(shard, site.name, part, row.values));
  return row;
}

}  // namespace

Result<RunRow> read_run_row(const std::string& folder, std::int64_t row, const std::string& site) {
  LAYERSCOPE_ASSIGN(const RunView run, open_run(folder, true));
  std::string names;
  for (const RunPart& part : run.parts) {
    const ShardSchema& schema = part.manifest.schema;
    const auto found =
        std::find_if(schema.sites.begin(), schema.sites.end(), [&](const StoredSite& s) { return s.name == site; });
    if (found == schema.sites.end() || found->unit == StoredUnit::kProbs) {
      for (const StoredSite& one : schema.sites) {
        if (one.unit != StoredUnit::kProbs) names += (names.empty() ? "" : ", ") + one.name;
      }
      return Error{ErrorCode::kUsage, folder + ": holds no vectors of \"" + site + "\", it has " + names};
    }
    for (const ShardRecord& record : part.records) {
      if (row >= record.next_row) continue;
      LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(part.shard_path(record)));
      LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> rows, shard.read_i64("row"));
      const auto at = std::lower_bound(rows.begin(), rows.end(), row);
      if (at == rows.end() || *at != row) break;
      return read_row(shard, static_cast<std::size_t>(at - rows.begin()), schema, *found);
    }
  }
  return Error{ErrorCode::kUsage, folder + ": has no row " + std::to_string(row)};
}

}  // namespace layerscope
