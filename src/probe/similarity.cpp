#include "probe/similarity.h"

#include <algorithm>
#include <limits>

#include "analysis/alignment.h"
#include "analysis/dissimilarity.h"
#include "analysis/layer_sums.h"
#include "base/memory.h"
#include "base/numbers.h"
#include "base/parallel.h"
#include "base/try.h"
#include "probe/joined_layers.h"
#include "probe/vector_sample.h"

namespace layerscope {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

/// Two layers whose vectors are compared one by one, and the number of `layer` that it becomes.
struct Beside {
  std::size_t layer = 0, other = 0;
  double LayerFigures::*figure = nullptr;
  CosineSum sum;
};

std::string gigabytes(std::uint64_t bytes) {
  const std::uint64_t tenths = bytes / 100'000'000;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GB";
}

/// True if products of `vectors` vectors take less than those of the layers' elements.
bool sample_is_smaller(const std::vector<std::int64_t>& widths, std::int64_t vectors) {
  const auto products = CrossMoments::bytes(widths);
  const auto sample = sample_alignment_bytes(widths.size(), vectors);
  return sample && (!products || *sample < *products);
}

class Measurement {
 public:
  Measurement(LayerSource& a, LayerSource* b, const SimilarityOptions& options)
      : a_(a), b_(b), options_(options), rows_(a, b) {
    for (const StoredSite& site : a.sites()) layers_.push_back({.of_b = false, .site = site});
    if (b != nullptr) {
      for (const StoredSite& site : b->sites()) layers_.push_back({.of_b = true, .site = site});
    }
    for (LayerFigures& layer : layers_) {
      layer.cosine_before = layer.cosine_other = kNothing;
      widths_.push_back(layer.site.width);
      sums_.emplace_back(layer.site.width);
    }
    compare_neighbours();
    compare_sides();
  }

  Result<SimilarityReport> run() {
    LAYERSCOPE_TRY(check_memory());
    VectorSample ranked(std::min(kRankedVectors, options_.vectors > 0 ? options_.vectors : kRankedVectors),
                        options_.seed, widths_);
    LayerAlignment aligned;
    if (options_.vectors > 0) {
      LAYERSCOPE_ASSIGN(aligned, measure_sample(ranked));
    } else {
      CrossMoments moments(widths_, options_.threads);
      const auto take = [&](const LayerBlock& block) -> Status {
        ranked.add(block);
        LAYERSCOPE_TRY(add(pointers(block.values), block.vectors(), &block));
        return moments.add(pointers(block.values), block.vectors());
      };
      LAYERSCOPE_TRY(walk(take));
      LAYERSCOPE_ASSIGN(aligned, moments.finish());
    }
    SimilarityReport report{.rows = read_rows_,
                            .vectors = vectors_,
                            .ranked = ranked.rows(),
                            .unmatched = rows_.unmatched(),
                            .layers = layers_,
                            .cka = std::move(aligned.cka),
                            .rsa = {}};
    for (std::size_t k = 0; k < layers_.size(); ++k) {
      report.layers[k].norm = sums_[k].mean_norm();
      report.layers[k].anisotropy = sums_[k].anisotropy();
      report.layers[k].effective_rank = aligned.effective_rank[k];
    }
    for (const Beside& pair : beside_) report.layers[pair.layer].*pair.figure = pair.sum.mean();
    LAYERSCOPE_ASSIGN(report.rsa, rank_table(ranked.take(), report.ranked));
    return report;
  }

 private:
  void compare_neighbours() {
    for (std::size_t k = 1; k < layers_.size(); ++k) {
      const StoredSite& before = layers_[k - 1].site;
      const StoredSite& site = layers_[k].site;
      if (layers_[k].of_b == layers_[k - 1].of_b && before.stack == site.stack && before.width == site.width)
        beside_.push_back({k, k - 1, &LayerFigures::cosine_before, {}});
    }
  }
  void compare_sides() {
    for (std::size_t a = 0; a < a_.sites().size(); ++a) {
      for (std::size_t b = a_.sites().size(); b < layers_.size(); ++b) {
        const StoredSite& left = layers_[a].site;
        const StoredSite& right = layers_[b].site;
        const bool same = left.hf_index && right.hf_index ? left.hf_index == right.hf_index : left.name == right.name;
        if (!same || left.stack != right.stack || left.width != right.width) continue;
        beside_.push_back({a, b, &LayerFigures::cosine_other, {}});
        beside_.push_back({b, a, &LayerFigures::cosine_other, {}});
      }
    }
  }

  Status check_memory() const {
    const std::optional<std::uint64_t> bytes = similarity_bytes(widths_, options_.vectors);
    const std::uint64_t limit = std::min(kSimilarityBytes, available_memory().value_or(kSimilarityBytes));
    if (bytes && *bytes <= limit) return {};
    const std::string size = bytes ? gigabytes(*bytes) : "more bytes than can be counted";
    const std::string way = options_.vectors > 0 ? "a smaller --rows" : "--rows 2000 (as many vectors, drawn)";
    return Error{ErrorCode::kResource, a_.path() + ": the products of " + std::to_string(layers_.size()) +
                                           " layers up to " + std::to_string(*std::ranges::max_element(widths_)) +
                                           " wide take " + size + " and may take " + gigabytes(limit) +
                                           ": fewer --layers, or " + way};
  }

  Status walk(const std::function<Status(const LayerBlock&)>& take) {
    LayerBlock block;
    while (true) {
      LAYERSCOPE_ASSIGN(const bool more, rows_.next(block));
      if (!more) break;
      read_rows_ += static_cast<std::int64_t>(block.rows.size());
      LAYERSCOPE_TRY(take(block));
    }
    if (read_rows_ > 0) return {};
    return Error{ErrorCode::kUsage,
                 b_ == nullptr ? a_.path() + ": no rows" : b_->path() + ": no row in common with " + a_.path()};
  }

  static std::vector<const float*> pointers(const std::vector<std::vector<float>>& values) {
    std::vector<const float*> out;
    for (const std::vector<float>& layer : values) out.push_back(layer.data());
    return out;
  }

  /// Adds to all sums that need one vector at a time. `block` tells where values come from that are not finite.
  Status add(const std::vector<const float*>& values, std::int64_t vectors, const LayerBlock* block) {
    LAYERSCOPE_TRY(for_each_parallel(layers_.size(), options_.threads, [&](std::size_t k) -> Status {
      const std::int64_t bad = sums_[k].add(values[k], vectors);
      return bad < 0 || block == nullptr ? Status() : not_finite(k, bad, *block);
    }));
    vectors_ += vectors;
    return for_each_parallel(beside_.size(), options_.threads, [&](std::size_t k) -> Status {
      Beside& pair = beside_[k];
      pair.sum.add(values[pair.layer], values[pair.other], vectors, widths_[pair.layer]);
      return {};
    });
  }
  [[nodiscard]] Error not_finite(std::size_t layer, std::int64_t vector, const LayerBlock& block) const {
    const auto row = std::ranges::find_if(
        block.rows, [&](const LayerRow& r) { return vector >= r.first && vector < r.first + r.count; });
    const std::int32_t position = block.positions[static_cast<std::size_t>(vector)];
    return {ErrorCode::kRuntime, (layers_[layer].of_b ? b_->path() : a_.path()) + ": row " +
                                     std::to_string(row->number) +
                                     (position < 0 ? "" : ", token " + std::to_string(position)) + ": " +
                                     layers_[layer].site.name + " holds NaN or infinity"};
  }

  /// Everything from vectors that are drawn.
  Result<LayerAlignment> measure_sample(VectorSample& ranked) {
    VectorSample sample(options_.vectors, options_.seed, widths_);
    LAYERSCOPE_TRY(walk([&](const LayerBlock& block) -> Status {
      ranked.add(block);
      sample.add(block);
      for (std::size_t k = 0; k < layers_.size(); ++k) {
        const std::int64_t bad = LayerSums(widths_[k]).add(block.values[k].data(), block.vectors());
        if (bad >= 0) return not_finite(k, bad, block);
      }
      return {};
    }));
    const std::int64_t count = sample.rows();
    const std::vector<std::vector<float>> values = sample.take();
    LAYERSCOPE_TRY(add(pointers(values), count, nullptr));
    if (sample_is_smaller(widths_, options_.vectors)) return align_sample(values, widths_, count, options_.threads);
    CrossMoments moments(widths_, options_.threads);
    LAYERSCOPE_TRY(moments.add(pointers(values), count));
    return moments.finish();
  }

  Result<std::vector<double>> rank_table(const std::vector<std::vector<float>>& values, std::int64_t count) const {
    const std::size_t layers = layers_.size();
    std::vector<std::vector<float>> ranks(layers);
    LAYERSCOPE_TRY(for_each_parallel(layers, options_.threads, [&](std::size_t k) -> Status {
      ranks[k] = dissimilarity_ranks(values[k].data(), count, widths_[k]);
      return {};
    }));
    std::vector<double> table(layers * layers);
    LAYERSCOPE_TRY(for_each_parallel(layers, options_.threads, [&](std::size_t a) -> Status {
      for (std::size_t b = 0; b < layers; ++b) table[a * layers + b] = rank_correlation(ranks[a], ranks[b]);
      return {};
    }));
    return table;
  }

  LayerSource& a_;
  LayerSource* b_;
  const SimilarityOptions& options_;
  JoinedLayers rows_;
  std::vector<LayerFigures> layers_;
  std::vector<std::int64_t> widths_;
  std::vector<LayerSums> sums_;
  std::vector<Beside> beside_;
  std::int64_t read_rows_ = 0, vectors_ = 0;
};

}  // namespace

std::optional<std::uint64_t> similarity_bytes(const std::vector<std::int64_t>& widths, std::int64_t vectors) {
  if (vectors == 0) return CrossMoments::bytes(widths);
  std::uint64_t elements = 0;  // of one drawn vector
  for (const std::int64_t width : widths) elements += static_cast<std::uint64_t>(width);
  const auto held = checked_multiply(elements * sizeof(float), static_cast<std::uint64_t>(vectors));
  const auto products =
      sample_is_smaller(widths, vectors) ? sample_alignment_bytes(widths.size(), vectors) : CrossMoments::bytes(widths);
  return held && products ? checked_add(*held, *products) : std::nullopt;
}

Result<SimilarityReport> measure_similarity(LayerSource& a, LayerSource* b, const SimilarityOptions& options) {
  try {
    return Measurement(a, b, options).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, a.path() + ": out of memory while layers were compared"};
  }
}

}  // namespace layerscope
