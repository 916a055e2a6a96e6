// A run folder as a side. Tokens of all rows are held, values are read when they are asked for.
#include <algorithm>

#include "base/try.h"
#include "diff/side.h"
#include "kernels/scalar.h"
#include "store/layout.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace layerscope {
namespace {

Error damage(const ShardReader& shard, const std::string& what) {
  return Error{ErrorCode::kDamage, shard.file().path() + ": " + what + "; layerscope verify tells more"};
}

/// Row numbers, or offsets, that a shard says: as many as there must be, ascending from 0, ending at `total`.
Status check_offsets(const ShardReader& shard, const std::string& name, const std::vector<std::int64_t>& offsets,
                     std::size_t rows, std::int64_t total) {
  if (offsets.size() == rows + 1 && offsets.front() == 0 && offsets.back() == total && std::ranges::is_sorted(offsets))
    return {};
  return damage(shard, "tensor \"" + name + "\" holds no offsets");
}

template <class T>
Result<std::vector<T>> whole(const ShardReader& shard, const std::string& name, DType dtype) {
  const ShardTensor* tensor = shard.find(name);
  if (tensor == nullptr || tensor->dtype != dtype || tensor->shape.rank() != 1)
    return damage(shard, "tensor \"" + name + "\" is missing or of another type");
  std::vector<T> values(static_cast<std::size_t>(tensor->shape[0]));
  LAYERSCOPE_TRY(shard.read(*tensor, 0, std::as_writable_bytes(std::span(values))));
  return values;
}

class RunSide final : public Side {
 public:
  static Result<std::unique_ptr<Side>> open(const std::string& folder, std::shared_ptr<const Model> model,
                                            bool allow_incomplete) {
    auto side = std::make_unique<RunSide>();
    side->path_ = folder;
    side->model_ = std::move(model);
    LAYERSCOPE_ASSIGN(side->run_, open_run(folder, allow_incomplete));
    for (const StoredSite& site : side->schema().sites) {
      side->sites_.push_back({site.name, site.stack, site.hf_index, site.width, site.unit, site.cross, site.dtype});
      int& layers = side->layers_[static_cast<std::size_t>(site.stack)];
      if (site.hf_index) layers = std::max(layers, *site.hf_index);
    }
    for (const RunPart& part : side->run_.parts) {
      for (const ShardRecord& record : part.records) LAYERSCOPE_TRY(side->read_shard(part.shard_path(record)));
    }
    side->sort_rows();
    return std::unique_ptr<Side>(std::move(side));
  }

  SideKind kind() const noexcept override { return SideKind::kRun; }
  const std::string& path() const noexcept override { return path_; }
  SidePrecision precision() const override {
    SidePrecision precision{.isa = manifest().isa};
    const Json config(manifest().config);
    if (const Json* dtype = config.find("dtype"); dtype != nullptr && dtype->string() != nullptr)
      precision.dtype = *dtype->string();
    if (!sites_.empty()) precision.stored = sites_.front().dtype;
    return precision;
  }
  const std::vector<SideSite>& sites() const noexcept override { return sites_; }
  const std::vector<SideRow>& rows() const noexcept override { return rows_; }
  std::shared_ptr<const Model> model() const override { return model_; }
  std::array<int, 2> layers() const noexcept override { return layers_; }

  Result<std::vector<std::vector<SideBlock>>> read(std::span<const SideRow> rows,
                                                   std::span<const std::string> sites) const override {
    std::vector<std::vector<SideBlock>> blocks(rows.size());
    std::optional<OpenShard> shard;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto found = std::ranges::lower_bound(rows_, rows[i].number, {}, &SideRow::number);
      if (found == rows_.end() || found->number != rows[i].number)
        return Error{ErrorCode::kUsage, path_ + ": has no row " + std::to_string(rows[i].number)};
      const Place& place = places_[static_cast<std::size_t>(found - rows_.begin())];
      if (!shard || shard->index != place.shard) {
        shard.emplace();
        shard->index = place.shard;
        LAYERSCOPE_ASSIGN(shard->reader, ShardReader::open(shards_[place.shard]));
      }
      for (const std::string& name : sites) {
        const auto site = std::ranges::find(schema().sites, name, &StoredSite::name);
        if (site == schema().sites.end()) return Error{ErrorCode::kUsage, path_ + ": has no site " + name};
        LAYERSCOPE_ASSIGN(SideBlock block, read_block(*shard, *found, place, *site));
        blocks[i].push_back(std::move(block));
      }
    }
    return blocks;
  }

 private:
  /// Where a row lies: its shard, its index there, and its first token of each stack.
  struct Place {
    std::size_t shard = 0;
    std::int64_t index = 0;
    std::array<std::int64_t, 2> first{};
  };
  /// A shard with the offsets that were needed so far.
  struct OpenShard {
    std::size_t index = 0;
    ShardReader reader;
    std::vector<std::pair<std::string, std::vector<std::int64_t>>> offsets;
  };

  const Manifest& manifest() const { return run_.parts.front().manifest; }
  const ShardSchema& schema() const { return manifest().schema; }

  Status read_shard(const std::string& path) {
    LAYERSCOPE_ASSIGN(const ShardReader shard, ShardReader::open(path));
    LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> numbers, shard.read_i64("row"));
    const std::size_t before = rows_.size();
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      rows_.push_back({.number = numbers[i]});
      places_.push_back({shards_.size(), static_cast<std::int64_t>(i), {}});
    }
    shards_.push_back(path);
    for (const StackId stack : schema().stacks()) LAYERSCOPE_TRY(read_tokens(shard, stack, before));
    return {};
  }

  Status read_tokens(const ShardReader& shard, StackId stack, std::size_t before) {
    const std::string prefix = schema().prefix(stack);
    LAYERSCOPE_ASSIGN(const auto ids, whole<std::int32_t>(shard, prefix + "input_ids", DType::kI32));
    LAYERSCOPE_ASSIGN(const auto special, whole<std::uint8_t>(shard, prefix + "special", DType::kU8));
    LAYERSCOPE_ASSIGN(const std::vector<std::int64_t> offsets, shard.read_i64(prefix + "offsets"));
    std::vector<std::uint8_t> types;
    if (shard.find(prefix + "type_ids") != nullptr) {
      LAYERSCOPE_ASSIGN(types, whole<std::uint8_t>(shard, prefix + "type_ids", DType::kU8));
    }
    LAYERSCOPE_TRY(check_offsets(shard, prefix + "offsets", offsets, rows_.size() - before,
                                 static_cast<std::int64_t>(ids.size())));
    if (special.size() != ids.size() || (!types.empty() && types.size() != ids.size()))
      return damage(shard, "tensors \"" + prefix + "input_ids\" and \"" + prefix + "special\" differ in length");
    const bool second = schema().two_stacks && stack == StackId::kDecoder;
    for (std::size_t i = before; i < rows_.size(); ++i) {
      const std::int64_t first = offsets[i - before], end = offsets[i - before + 1];
      Tokens& tokens = second ? rows_[i].tokens.decoder.emplace() : rows_[i].tokens.main;
      tokens.ids.assign(ids.begin() + first, ids.begin() + end);
      tokens.special.assign(special.begin() + first, special.begin() + end);
      if (!types.empty()) tokens.type_ids.assign(types.begin() + first, types.begin() + end);
      if (std::ranges::all_of(tokens.type_ids, [](std::uint8_t type) { return type == 0; })) tokens.type_ids.clear();
      places_[i].first[static_cast<std::size_t>(stack)] = first;
    }
    return {};
  }

  /// Parts of a run take turns.
  void sort_rows() {
    std::vector<std::size_t> order(rows_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](std::size_t i) { return rows_[i].number; });
    std::vector<SideRow> rows;
    std::vector<Place> places;
    for (const std::size_t i : order) {
      rows.push_back(std::move(rows_[i]));
      places.push_back(places_[i]);
    }
    rows_ = std::move(rows);
    places_ = std::move(places);
  }

  static Result<std::pair<std::int64_t, std::int64_t>> share(OpenShard& shard, const std::string& name,
                                                             std::int64_t index) {
    auto found = std::ranges::find(shard.offsets, name, [](const auto& one) { return one.first; });
    if (found == shard.offsets.end()) {
      LAYERSCOPE_ASSIGN(std::vector<std::int64_t> offsets, shard.reader.read_i64(name));
      shard.offsets.emplace_back(name, std::move(offsets));
      found = std::prev(shard.offsets.end());
    }
    const std::vector<std::int64_t>& offsets = found->second;
    const auto at = static_cast<std::size_t>(index);
    if (at + 1 >= offsets.size() || offsets[at] < 0 || offsets[at + 1] < offsets[at])
      return damage(shard.reader, "tensor \"" + name + "\" holds no offsets");
    return std::pair(offsets[at], offsets[at + 1] - offsets[at]);
  }

  Result<SideBlock> read_block(OpenShard& shard, const SideRow& row, const Place& place, const StoredSite& site) const {
    const StackId stack = site.unit == StoredUnit::kProbs ? site.stack : token_stack(site);  // of queries
    const bool second = schema().two_stacks && stack == StackId::kDecoder;
    const auto tokens = static_cast<std::int64_t>((second ? *row.tokens.decoder : row.tokens.main).ids.size());
    SideBlock block{.rows = tokens, .width = site.width};
    std::int64_t first = place.first[static_cast<std::size_t>(stack)] * site.width;
    if (site.unit == StoredUnit::kPooled) {
      block.rows = 1;
      first = place.index * site.width;
    } else if (site.unit == StoredUnit::kPicks) {
      LAYERSCOPE_ASSIGN(const auto picks, share(shard, schema().prefix(stack) + "pos_offsets", place.index));
      LAYERSCOPE_ASSIGN(const auto all, whole<std::int32_t>(shard.reader, schema().prefix(stack) + "pos", DType::kI32));
      if (picks.first + picks.second > static_cast<std::int64_t>(all.size()))
        return damage(shard.reader, "tensor \"" + schema().prefix(stack) + "pos\" is too short");
      block.positions.assign(all.begin() + picks.first, all.begin() + picks.first + picks.second);
      block.rows = picks.second;
      first = picks.first * site.width;
    } else if (site.unit == StoredUnit::kProbs) {
      LAYERSCOPE_ASSIGN(const auto part, share(shard, site.name + ".offsets", place.index));
      block.rows = site.heads * tokens;
      block.width = block.rows == 0 ? 0 : part.second / block.rows;
      if (block.rows * block.width != part.second)
        return damage(shard.reader, "tensor \"" + site.name + ".offsets\" does not fit the row's tokens");
      first = part.first;
    }
    const ShardTensor* tensor = shard.reader.find(site.name);
    const std::int64_t count = block.rows * block.width;
    if (tensor == nullptr || tensor->shape.elements() < count || tensor->shape.elements() - count < first)
      return damage(shard.reader, "tensor \"" + site.name + "\" is missing or too short");
    const std::size_t size = dtype_size(tensor->dtype);
    std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size);
    LAYERSCOPE_TRY(shard.reader.read(*tensor, static_cast<std::uint64_t>(first) * size, bytes));
    block.values.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      block.values[static_cast<std::size_t>(i)] = load_element<double>(tensor->dtype, bytes.data(), i);
    return block;
  }

  std::string path_;
  std::shared_ptr<const Model> model_;
  RunView run_;
  std::vector<SideSite> sites_;
  std::array<int, 2> layers_{};
  std::vector<std::string> shards_;
  std::vector<SideRow> rows_;  // ascending by number
  std::vector<Place> places_;
};

}  // namespace

Result<std::unique_ptr<Side>> open_run_side(const std::string& folder, std::shared_ptr<const Model> model,
                                            bool allow_incomplete) {
  return RunSide::open(folder, std::move(model), allow_incomplete);
}

}  // namespace layerscope
