#include <algorithm>
#include <new>

#include "base/floats.h"
#include "base/try.h"
#include "probe/gather.h"
#include "probe/run_rows.h"
#include "session/token_places.h"
#include "tap/pool.h"

namespace layerscope {
namespace {

/// Stored vectors next to one another that are samples next to one another.
struct Stretch {
  std::size_t shard = 0;
  RunRows::Units units;
};

/// Samples as they lie in mapped shards.
class StoredLayers final : public ProbeLayers {
 public:
  StoredLayers(std::vector<ProbeSite> sites, std::shared_ptr<const RunRows> rows)
      : ProbeLayers(std::move(sites)), rows_(std::move(rows)) {}

  void append(std::size_t shard, const RunRows::Units& units) {
    if (!stretches_.empty()) {
      Stretch& last = stretches_.back();
      if (last.shard == shard && last.units.first + last.units.count == units.first) {
        last.units.count += units.count;
        return;
      }
    }
    stretches_.push_back({shard, units});
  }
  std::vector<VectorBlock> blocks(std::size_t site) const override {
    std::vector<VectorBlock> blocks;
    blocks.reserve(stretches_.size());
    std::int64_t first = 0;
    for (const Stretch& stretch : stretches_) {
      blocks.push_back({.values = rows_->values(site, stretch.shard, stretch.units), .numbers = {}, .first = first});
      first += stretch.units.count;
    }
    return blocks;
  }

 private:
  std::shared_ptr<const RunRows> rows_;
  std::vector<Stretch> stretches_;
};

class RunGatherer {
 public:
  RunGatherer(const std::string& folder, const RunTexts& texts, const LabelFile& labels, const GatherOptions& options)
      : folder_(folder), texts_(texts), labels_(labels), options_(options), collector_(labels) {}

  Result<Gathered> run(bool allow_incomplete) {
    LAYERSCOPE_ASSIGN(RunRows opened, RunRows::open(folder_, allow_incomplete, options_));
    rows_ = std::make_shared<const RunRows>(std::move(opened));
    LAYERSCOPE_TRY(choose_layers());
    for (const RunRows::Place& row : rows_->rows()) LAYERSCOPE_TRY(add(row));
    if (gathered_) LAYERSCOPE_TRY(gathered_->finish());
    LAYERSCOPE_ASSIGN(ProbeSamples samples, std::move(collector_).finish(options_.kind));
    if (gathered_) return Gathered{std::move(samples), std::move(gathered_)};
    return Gathered{std::move(samples), std::move(stored_)};
  }

 private:
  Error usage(const std::string& what) const { return {ErrorCode::kUsage, folder_ + ": " + what}; }

  Status choose_layers() {
    const bool pooled = rows_->unit() == StoredUnit::kPooled, of_rows = labels_.level() == LabelLevel::kRow;
    if (pooled && !of_rows)
      return usage("holds one vector a row, but " + labels_.path() + " labels tokens (store them without --pool)");
    if (pooled && options_.pool) return usage("was pooled when it was stored; --pool is for runs of tokens");
    const bool words = labels_.level() == LabelLevel::kWords || labels_.level() == LabelLevel::kSpans;
    if (words && texts_.rows == nullptr) {
      return usage("holds no texts, which the labels of words in " + labels_.path() +
                   " need: --texts FILE names the input that the run was made from");
    }
    std::vector<ProbeSite> sites;
    for (const StoredSite& site : rows_->sites()) sites.push_back({site.name, site.hf_index, site.width});
    pooling_ = of_rows ? options_.pool.value_or(Pooling::kMean) : options_.word;
    const bool one_each =
        pooled || labels_.level() == LabelLevel::kTokens || pooling_ == Pooling::kCls || pooling_ == Pooling::kLast;
    if (one_each) {
      stored_ = std::make_unique<StoredLayers>(std::move(sites), rows_);
    } else {
      gathered_ = std::make_unique<GatheredLayers>(std::move(sites), options_.folder, options_.memory);
    }
    return {};
  }

  /// The text of a row; rows come in the order of their numbers, as they do in the file.
  Result<TextRow> text_of(std::int64_t number) {
    while (true) {
      LAYERSCOPE_ASSIGN(std::optional<InputRow> row, texts_.rows->next());
      if (row && row->number < number) continue;
      if (row && row->number == number && !row->bad) return std::move(row->row);
      return Error{ErrorCode::kUsage,
                   "the texts have no row " + std::to_string(number) + ", which " + folder_ + " was made from"};
    }
  }

  Status add(const RunRows::Place& row) {
    LAYERSCOPE_ASSIGN(const RowLabels* const labels, collector_.wanted(row.number, rows_->id(row)));
    if (labels == nullptr) return {};
    const std::span<const std::int32_t> ids = rows_->ids(row);
    LabelledTokens tokens{.ids = ids, .special = rows_->special(row), .offsets = {}, .sequence = {}, .text = {}};
    TokenPlaces places;
    TextRow text;
    if (texts_.rows != nullptr) {
      LAYERSCOPE_ASSIGN(text, text_of(row.number));
      const bool special = std::ranges::any_of(tokens.special, [](std::uint8_t one) { return one != 0; });
      Result<TokenPlaces> found = token_places(*texts_.model, text, ids, special);
      if (!found) {
        return usage("row " + std::to_string(row.number) + ": " + found.error().message +
                     " (are model and texts those of the run?)");
      }
      places = *std::move(found);
      tokens.offsets = places.offsets;
      tokens.sequence = places.sequence;
      if (text.text) tokens.text = *text.text;
    }
    LAYERSCOPE_ASSIGN(const std::vector<SampleTokens> samples, collector_.add(row.number, *labels, tokens));
    for (const SampleTokens& sample : samples) LAYERSCOPE_TRY(take(row, sample));
    return {};
  }

  /// The stored vectors of some tokens of a row, as a range of its shard's.
  Result<RunRows::Units> stored_units(const RunRows::Place& row, const SampleTokens& sample) const {
    const RunRows::Units units = rows_->units(row);
    if (rows_->unit() == StoredUnit::kPooled || labels_.level() == LabelLevel::kRow) {
      if (units.count > 0) return units;
      return usage("row " + std::to_string(row.number) + " has no stored position to make a vector of");
    }
    if (rows_->unit() == StoredUnit::kTokens) return RunRows::Units{units.first + sample.first, sample.count};
    const std::span<const std::int32_t> positions = rows_->positions(row);
    const auto found = std::ranges::lower_bound(positions, static_cast<std::int32_t>(sample.first));
    const auto there = static_cast<std::int64_t>(found - positions.begin());
    bool all = there + sample.count <= static_cast<std::int64_t>(positions.size());
    for (std::int64_t k = 0; all && k < sample.count; ++k)
      all = positions[static_cast<std::size_t>(there + k)] == sample.first + k;
    if (all) return RunRows::Units{units.first + there, sample.count};
    return usage("row " + std::to_string(row.number) + ": a label belongs to token " + std::to_string(sample.first) +
                 ", which was not stored (store all positions, or leave the label out)");
  }

  Status take(const RunRows::Place& row, const SampleTokens& sample) {
    LAYERSCOPE_ASSIGN(RunRows::Units units, stored_units(row, sample));
    if (stored_) {
      if (pooling_ == Pooling::kLast) units.first += units.count - 1;
      units.count = 1;
      stored_->append(row.shard, units);
      return {};
    }
    for (std::size_t site = 0; site < rows_->sites().size(); ++site) {
      const RowsView values = rows_->values(site, row.shard, units);
      floats_.clear();
      const auto elements = static_cast<std::size_t>(values.rows * values.width);
      if (!append_floats(values.dtype, values.data, elements, floats_))
        return usage("site " + rows_->sites()[site].name + " holds no float vectors");
      pool_.begin(pooling_, values.width, values.rows);
      for (std::int64_t k = 0; k < values.rows; ++k) pool_.add(floats_.data() + k * values.width, k);
      LAYERSCOPE_TRY(gathered_->append(site, pool_.finish()));
    }
    return {};
  }

  const std::string& folder_;
  const RunTexts& texts_;
  const LabelFile& labels_;
  const GatherOptions& options_;
  SampleCollector collector_;
  std::shared_ptr<const RunRows> rows_;
  Pooling pooling_ = Pooling::kMean;
  std::unique_ptr<StoredLayers> stored_;  // one of the two
  std::unique_ptr<GatheredLayers> gathered_;
  std::vector<float> floats_;
  RowPool pool_;
};

}  // namespace

Result<Gathered> gather_from_run(const std::string& folder, bool allow_incomplete, const RunTexts& texts,
                                 const LabelFile& labels, const GatherOptions& options) try {
  return RunGatherer(folder, texts, labels, options).run(allow_incomplete);
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, folder + ": its rows do not fit into memory (fewer --layers need less)"};
}

}  // namespace layerscope
