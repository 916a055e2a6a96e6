#include <algorithm>
#include <cstring>

#include "base/floats.h"
#include "base/try.h"
#include "probe/layer_source.h"
#include "store/merged_rows.h"
#include "store/run_reader.h"
#include "tap/layer_list.h"

namespace layerscope {
namespace {

constexpr std::int64_t kVectors = 2048;  // of a block, unless one row has more

class RunLayers final : public LayerSource {
 public:
  RunLayers(std::string folder, RunView run, std::vector<StoredSite> sites)
      : folder_(std::move(folder)), run_(std::move(run)), sites_(std::move(sites)), rows_(run_, {offsets_name()}) {}

  const std::string& path() const noexcept override { return folder_; }
  const std::vector<StoredSite>& sites() const noexcept override { return sites_; }

  Result<bool> next(LayerBlock& block) override {
    block.clear();
    block.values.resize(sites_.size());
    while (!span_ || taken_ == span_->count) {
      LAYERSCOPE_ASSIGN(std::optional<RowSpan> span, rows_.next());
      if (!span) return false;
      span_ = std::move(span);
      taken_ = 0;
    }
    const std::int64_t row = span_->first + taken_;
    std::int64_t rows = 0, vectors = 0;
    while (taken_ + rows < span_->count && (rows == 0 || vectors + vectors_of(row + rows) <= kVectors)) {
      LAYERSCOPE_TRY(check_row(row + rows));
      block.rows.push_back({span_->number(row + rows), vectors, vectors_of(row + rows)});
      vectors += vectors_of(row + rows);
      ++rows;
    }
    taken_ += rows;
    const std::int64_t first = pooled() ? row : offsets()[static_cast<std::size_t>(row)];
    for (std::size_t site = 0; site < sites_.size(); ++site) {
      LAYERSCOPE_ASSIGN(const std::vector<std::byte> bytes,
                        read(sites_[site].name, sites_[site].dtype, first, vectors, sites_[site].width));
      (void)append_floats(sites_[site].dtype, bytes.data(), static_cast<std::size_t>(vectors * sites_[site].width),
                          block.values[site]);
    }
    LAYERSCOPE_TRY(read_positions(first, vectors, block));  // after the tensors have shown that there are so many
    return true;
  }

 private:
  [[nodiscard]] bool pooled() const { return sites_.front().unit == StoredUnit::kPooled; }
  [[nodiscard]] bool picked() const { return sites_.front().unit == StoredUnit::kPicks; }
  [[nodiscard]] std::string prefix() const { return run_.parts.front().manifest.schema.prefix(sites_.front().stack); }
  [[nodiscard]] std::string offsets_name() const {
    return pooled() ? "" : prefix() + (picked() ? "pos_offsets" : "offsets");
  }
  [[nodiscard]] const std::vector<std::int64_t>& offsets() const { return span_->shard->offsets.front(); }
  [[nodiscard]] std::int64_t vectors_of(std::int64_t row) const {
    const auto at = static_cast<std::size_t>(row);
    return pooled() || at + 1 >= offsets().size() ? 1 : offsets()[at + 1] - offsets()[at];
  }
  Status check_row(std::int64_t row) const {
    if (pooled() || static_cast<std::size_t>(row) + 1 < offsets().size()) return {};
    return damage("tensor \"" + offsets_name() + "\" is missing");
  }
  [[nodiscard]] Error damage(const std::string& what) const {
    return {ErrorCode::kDamage, span_->shard->reader.file().path() + ": " + what + "; layerscope verify tells more"};
  }

  /// Vectors of `width` elements, or elements of a tensor of one dimension where that is nothing, from `first` on.
  Result<std::vector<std::byte>> read(const std::string& name, DType dtype, std::int64_t first, std::int64_t count,
                                      std::optional<std::int64_t> width) const {
    const ShardTensor* const tensor = span_->shard->reader.find(name);
    const bool sound = tensor != nullptr && tensor->dtype == dtype && tensor->shape.rank() == (width ? 2U : 1U) &&
                       (!width || tensor->shape[1] == *width) && first + count <= tensor->shape[0];
    if (!sound) return damage("tensor \"" + name + "\" is not as the manifest says");
    const std::uint64_t bytes = static_cast<std::uint64_t>(width.value_or(1)) * dtype_size(dtype);
    std::vector<std::byte> out(static_cast<std::size_t>(count) * bytes);
    LAYERSCOPE_TRY(span_->shard->reader.read(*tensor, static_cast<std::uint64_t>(first) * bytes, out));
    return out;
  }

  Status read_positions(std::int64_t first, std::int64_t count, LayerBlock& block) const {
    block.positions.assign(static_cast<std::size_t>(count), -1);
    if (picked()) {
      LAYERSCOPE_ASSIGN(const std::vector<std::byte> bytes,
                        read(prefix() + "pos", DType::kI32, first, count, std::nullopt));
      std::memcpy(block.positions.data(), bytes.data(), bytes.size());
      return {};
    }
    if (pooled()) return {};
    for (const LayerRow& row : block.rows) {
      for (std::int64_t k = 0; k < row.count; ++k)
        block.positions[static_cast<std::size_t>(row.first + k)] = static_cast<std::int32_t>(k);
    }
    return {};
  }

  std::string folder_;
  RunView run_;
  std::vector<StoredSite> sites_;
  MergedRows rows_;
  std::optional<RowSpan> span_;
  std::int64_t taken_ = 0;  // rows of span_
};

bool holds_vectors(const StoredSite& site) {
  const bool floats = site.dtype == DType::kF32 || site.dtype == DType::kF16 || site.dtype == DType::kBF16;
  return floats && site.unit != StoredUnit::kProbs && !site.cross && site.width > 0;
}

Result<std::vector<StoredSite>> chosen_sites(const std::vector<StoredSite>& stored, const std::string& folder,
                                             const std::string& layers) {
  std::array<int, 2> last = {-1, -1};  // highest layer by stack
  for (const StoredSite& site : stored) {
    if (site.hf_index && holds_vectors(site))
      last[static_cast<std::size_t>(site.stack)] = std::max(last[static_cast<std::size_t>(site.stack)], *site.hf_index);
  }
  const bool has_layers = last[0] >= 0 || last[1] >= 0;
  if (!layers.empty() && !has_layers)
    return Error{ErrorCode::kUsage, folder + ": --layers " + layers + ": the run holds no layers"};
  LAYERSCOPE_ASSIGN(const LayerLists lists,
                    parse_layers(layers.empty() ? "all" : layers, {std::max(last[0], 0), std::max(last[1], 0)}));
  std::vector<StoredSite> sites;
  for (const StoredSite& site : stored) {
    if (!holds_vectors(site)) continue;
    const std::vector<int>& list = lists[static_cast<std::size_t>(site.stack)];
    // A run of layer 0 alone has no block that parse_layers could count.
    const bool listed = site.hf_index && (layers.empty() || std::ranges::find(list, *site.hf_index) != list.end());
    if (has_layers ? listed : true) sites.push_back(site);
  }
  if (sites.empty()) {
    return Error{ErrorCode::kUsage,
                 folder + (layers.empty() ? ": holds no vectors to compare"
                                          : ": --layers " + layers + ": the run holds none of them")};
  }
  return sites;
}

}  // namespace

void LayerBlock::clear() {
  rows.clear();
  positions.clear();
  for (std::vector<float>& site : values) site.clear();
}

Status check_side_by_side(const std::string& path, const std::vector<StoredSite>& sites) {
  for (const StoredSite& site : sites) {
    const StoredSite& first = sites.front();
    if (site.unit != first.unit) {
      return Error{ErrorCode::kUsage, path + ": sites " + first.name + " and " + site.name +
                                          " do not hold the same vectors: one is pooled, or picked"};
    }
    if (site.stack != first.stack && site.unit != StoredUnit::kPooled) {
      return Error{ErrorCode::kUsage,
                   path + ": " + first.name + " and " + site.name +
                       " are states of different tokens: --layers enc:all or dec:all takes one stack, pooled states "
                       "(--pool mean) go together"};
    }
  }
  return {};
}

Result<std::unique_ptr<LayerSource>> open_run_layers(const std::string& folder, const std::string& layers,
                                                     bool allow_incomplete) {
  LAYERSCOPE_ASSIGN(RunView run, open_run(folder, allow_incomplete));
  LAYERSCOPE_ASSIGN(std::vector<StoredSite> sites,
                    chosen_sites(run.parts.front().manifest.schema.sites, folder, layers));
  LAYERSCOPE_TRY(check_side_by_side(folder, sites));
  return std::unique_ptr<LayerSource>(std::make_unique<RunLayers>(folder, std::move(run), std::move(sites)));
}

}  // namespace layerscope
