#include "probe/run_rows.h"

#include <algorithm>

#include "base/try.h"
#include "base/utf8.h"
#include "store/layout.h"
#include "tap/layer_list.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

bool holds_vectors(const StoredSite& site) {
  const bool floats = site.dtype == DType::kF32 || site.dtype == DType::kF16 || site.dtype == DType::kBF16;
  return floats && site.unit != StoredUnit::kProbs && site.width > 0;
}

std::string names_of(const std::vector<StoredSite>& sites) {
  std::string names;
  for (const StoredSite& site : sites) {
    if (holds_vectors(site)) names += (names.empty() ? "" : ", ") + printable(site.name);
  }
  return names;
}

/// Layers of the run by stack: the highest that it stores. Negative numbers count from there.
Result<LayerLists> layers_of(const ShardSchema& schema, const std::string& list) {
  std::array<int, 2> highest{};
  for (const StackId stack : schema.stacks()) highest[static_cast<std::size_t>(stack)] = 1;
  for (const StoredSite& site : schema.sites) {
    int& top = highest[static_cast<std::size_t>(site.stack)];
    top = std::max(top, site.hf_index.value_or(0));
  }
  return parse_layers(list, highest);
}

}  // namespace

Result<RunRows> RunRows::open(const std::string& folder, bool allow_incomplete, const GatherOptions& options) {
  RunRows rows;
  LAYERSCOPE_ASSIGN(rows.run_, open_run(folder, allow_incomplete));
  LAYERSCOPE_TRY(rows.choose_sites(folder, options));
  for (const RunPart& part : rows.run_.parts) {
    for (const ShardRecord& record : part.records) LAYERSCOPE_TRY(rows.add_shard(part.shard_path(record), record));
  }
  std::ranges::sort(rows.rows_, {}, &Place::number);
  const auto twice = std::ranges::adjacent_find(rows.rows_, {}, &Place::number);
  if (twice == rows.rows_.end()) return rows;
  return Error{ErrorCode::kDamage, folder + ": row " + std::to_string(twice->number) + " comes twice"};
}

Status RunRows::choose_sites(const std::string& folder, const GatherOptions& options) {
  const auto usage = [&](const std::string& what) { return Error{ErrorCode::kUsage, folder + ": " + what}; };
  const ShardSchema& schema = manifest().schema;
  const std::vector<StoredSite>& stored = schema.sites;
  LayerLists layers;
  if (!options.layers.empty()) {
    LAYERSCOPE_ASSIGN(layers, layers_of(schema, options.layers));
  }
  std::vector<std::string_view> globs;
  if (!options.sites.empty()) globs = split_list(options.sites);
  const bool any_layer = std::ranges::any_of(
      stored, [](const StoredSite& site) { return holds_vectors(site) && site.hf_index.has_value(); });
  const auto wanted = [&](const StoredSite& site) {
    if (options.layers.empty() && globs.empty()) return !any_layer || site.hf_index.has_value();
    const std::vector<int>& of_stack = layers[static_cast<std::size_t>(site.stack)];
    if (site.hf_index && std::ranges::find(of_stack, *site.hf_index) != of_stack.end()) return true;
    return std::ranges::any_of(globs, [&](std::string_view glob) { return glob_matches(glob, site.name); });
  };
  for (const std::string_view glob : globs) {
    const auto matches = [&](const StoredSite& site) { return holds_vectors(site) && glob_matches(glob, site.name); };
    if (std::ranges::none_of(stored, matches))
      return usage("stores no vectors of a site " + printable(glob) + " (there are: " + names_of(stored) + ")");
  }
  for (const StoredSite& site : stored) {
    if (holds_vectors(site) && wanted(site)) sites_.push_back(site);
  }
  if (sites_.empty()) {
    const std::string names = names_of(stored);
    return usage("stores none of these layers (there are: " + (names.empty() ? "no vectors at all" : names) + ")");
  }
  for (const StoredSite& site : sites_) {
    const bool same =
        site.unit == unit() && (unit() == StoredUnit::kPooled || token_stack(site) == token_stack(sites_.front()));
    if (!same)
      return usage("sites " + printable(sites_.front().name) + " and " + printable(site.name) +
                   " hold vectors of different things; --layers or --sites picks those of one kind");
  }
  return {};
}

Status RunRows::add_shard(const std::string& path, const ShardRecord& record) {
  Shard shard;
  LAYERSCOPE_ASSIGN(shard.file, MappedShard::open(path, record));
  LAYERSCOPE_ASSIGN(const std::span<const std::int64_t> numbers, shard.file.row_numbers());
  LAYERSCOPE_ASSIGN(shard.ids, shard.file.ids());
  const std::string prefix = manifest().schema.prefix(token_stack(sites_.front()));
  LAYERSCOPE_ASSIGN(shard.offsets, shard.file.offsets(prefix + "offsets"));
  const std::int64_t tokens = shard.offsets.back();
  LAYERSCOPE_ASSIGN(shard.input_ids, shard.file.values<std::int32_t>(prefix + "input_ids", DType::kI32, tokens));
  LAYERSCOPE_ASSIGN(shard.special, shard.file.values<std::uint8_t>(prefix + "special", DType::kU8, tokens));
  std::int64_t vectors = unit() == StoredUnit::kPooled ? record.rows : tokens;
  if (unit() == StoredUnit::kPicks) {
    LAYERSCOPE_ASSIGN(shard.pick_offsets, shard.file.offsets(prefix + "pos_offsets"));
    vectors = shard.pick_offsets.back();
    LAYERSCOPE_ASSIGN(shard.picks, shard.file.values<std::int32_t>(prefix + "pos", DType::kI32, vectors));
  }
  for (const StoredSite& site : sites_) {
    LAYERSCOPE_ASSIGN(const TensorView values, shard.file.tensor(site.name, site.dtype, Shape{vectors, site.width}));
    shard.values.push_back(values.data);
  }
  for (std::size_t row = 0; row < numbers.size(); ++row) rows_.push_back({numbers[row], shards_.size(), row});
  shards_.push_back(std::move(shard));
  return {};
}

namespace {

template <class T>
std::span<const T> part(std::span<const T> all, std::span<const std::int64_t> offsets, std::size_t row) {
  const auto begin = static_cast<std::size_t>(offsets[row]), end = static_cast<std::size_t>(offsets[row + 1]);
  return all.subspan(begin, end - begin);
}

}  // namespace

std::span<const std::int32_t> RunRows::ids(const Place& row) const {
  return part(shards_[row.shard].input_ids, shards_[row.shard].offsets, row.row);
}

std::span<const std::uint8_t> RunRows::special(const Place& row) const {
  return part(shards_[row.shard].special, shards_[row.shard].offsets, row.row);
}

std::span<const std::int32_t> RunRows::positions(const Place& row) const {
  return part(shards_[row.shard].picks, shards_[row.shard].pick_offsets, row.row);
}

RunRows::Units RunRows::units(const Place& row) const {
  if (unit() == StoredUnit::kPooled) return {static_cast<std::int64_t>(row.row), 1};
  const std::span<const std::int64_t> offsets =
      unit() == StoredUnit::kPicks ? shards_[row.shard].pick_offsets : shards_[row.shard].offsets;
  return {offsets[row.row], offsets[row.row + 1] - offsets[row.row]};
}

RowsView RunRows::values(std::size_t site, std::size_t shard, const Units& units) const {
  const StoredSite& stored = sites_[site];
  const auto bytes = static_cast<std::int64_t>(dtype_size(stored.dtype));
  return {stored.dtype, shards_[shard].values[site] + units.first * stored.width * bytes, units.count, stored.width,
          stored.width};
}

}  // namespace layerscope
