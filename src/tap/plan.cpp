#include <algorithm>
#include <numeric>

#include "base/hash.h"
#include "base/try.h"
#include "layerscope/tap.h"
#include "tap/layer_list.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

constexpr int kKinds = static_cast<int>(SiteKind::kLogits) + 1;

Error usage(std::string message) { return Error{ErrorCode::kUsage, std::move(message)}; }

// The site that stands for layer k of a stack: embed, block.{k-1}.out, final.
bool is_layer(const Site& site, StackId stack, int layer, int layers) {
  if (site.stack != stack) return false;
  if (layer == 0) return site.kind == SiteKind::kEmbed;
  if (layer == layers) return site.kind == SiteKind::kFinal;
  return site.kind == SiteKind::kBlockOut && site.block == layer - 1;
}

Status choose_sites(const SiteTable& table, std::string_view text, std::vector<bool>& chosen) {
  for (const std::string_view pattern : split_list(text)) {
    bool any = false;
    for (std::size_t i = 0; i < table.sites.size(); ++i) {
      if (!glob_matches(pattern, table.sites[i].name)) continue;
      chosen[i] = true;
      any = true;
    }
    if (!any && pattern == "logits" && !table.no_logits.empty()) return usage("no site \"logits\": " + table.no_logits);
    if (!any) return usage("no site \"" + std::string(pattern) + "\": this model has " + site_names(table));
  }
  return {};
}

}  // namespace

std::optional<Pooling> pooling_from_name(std::string_view name) noexcept {
  for (int i = 0; i <= static_cast<int>(Pooling::kLast); ++i) {
    if (pooling_name(static_cast<Pooling>(i)) == name) return static_cast<Pooling>(i);
  }
  return std::nullopt;
}

std::string_view pooling_name(Pooling pooling) noexcept {
  switch (pooling) {
    case Pooling::kNone: return "none";
    case Pooling::kCls: return "cls";
    case Pooling::kMean: return "mean";
    case Pooling::kMax: return "max";
    case Pooling::kMeanSqrt: return "mean_sqrt";
    case Pooling::kWeightedMean: return "weightedmean";
    case Pooling::kLast: return "last";
  }
  return "none";
}

Result<TapPlan> TapPlan::compile(const SiteTable& table, const TapRequest& request) {
  std::vector<bool> chosen(table.sites.size(), false);
  const bool nothing_named = request.layers.empty() && request.sites.empty() && request.mix.empty();
  const std::string layers = nothing_named ? "all" : request.layers;
  LayerLists lists;
  if (!layers.empty()) {
    LAYERSCOPE_ASSIGN(lists, parse_layers(layers, table.layers));
  }
  MixLists mix;
  if (!request.mix.empty()) {
    LAYERSCOPE_ASSIGN(mix, parse_mix(request.mix, table.layers));
  }
  if (!request.sites.empty()) LAYERSCOPE_TRY(choose_sites(table, request.sites, chosen));
  LAYERSCOPE_ASSIGN(const PositionList positions, parse_positions(request.positions));
  if (positions.picked && request.pool != Pooling::kNone)
    return usage("--pool and --positions exclude each other: pooling reads every position");

  TapPlan plan;
  plan.pool_ = request.pool;
  plan.has_picks_ = positions.picked;
  plan.positions_ = positions.list;
  plan.sample_ = positions.sample;
  plan.seed_ = request.seed;
  plan.layers_ = table.layers;
  for (const Site& site : table.sites) {
    auto& steps = plan.steps_[static_cast<std::size_t>(site.stack)];
    steps = std::max(steps, site.step + 1);
  }
  for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
    const auto rows = static_cast<std::size_t>(table.layers[stack]) + 1;
    plan.map_[stack].assign(rows * (static_cast<std::size_t>(plan.steps_[stack]) + 1) * kKinds, -1);
  }
  const auto unit_of = [&](const Site& site) {
    if (site.kind == SiteKind::kProbs) return StoredUnit::kProbs;
    if (plan.has_picks_) return StoredUnit::kPicks;
    return request.pool == Pooling::kNone ? StoredUnit::kTokens : StoredUnit::kPooled;
  };
  const bool both = table.layers[0] > 0 && table.layers[1] > 0;
  for (std::size_t i = 0; i < table.sites.size(); ++i) {
    const Site& site = table.sites[i];
    const auto stack = static_cast<std::size_t>(site.stack);
    const auto& list = lists[stack];
    const bool stored = chosen[i] || std::any_of(list.begin(), list.end(), [&](int layer) {
                          return is_layer(site, site.stack, layer, table.layers[stack]);
                        });
    const auto term = std::find_if(mix[stack].begin(), mix[stack].end(), [&](const auto& pair) {
      return is_layer(site, site.stack, pair.first, table.layers[stack]);
    });
    if (!stored && term == mix[stack].end()) continue;
    if (stored && site.kind == SiteKind::kProbs && (plan.has_picks_ || request.pool != Pooling::kNone)) {
      return usage("\"" + site.name + "\" cannot be pooled, nor positions of it picked");
    }
    if (stored && site.kind == SiteKind::kLogits && request.pool != Pooling::kNone)
      return usage("\"logits\" cannot be pooled: scores of several tokens have no mean that means anything");
    const int observed = static_cast<int>(plan.observed_.size());
    plan.observed_.push_back(site);
    plan.feeds_.emplace_back();
    plan.mix_.emplace_back();
    const auto block = static_cast<std::size_t>(site.block < 0 ? table.layers[stack] : site.block);
    plan.map_[stack]
             [(block * static_cast<std::size_t>(plan.steps_[stack] + 1) + static_cast<std::size_t>(site.step + 1)) *
                  kKinds +
              static_cast<std::size_t>(site.kind)] = observed;
    plan.wants_stack_[stack] = true;

    Depth& depth = plan.depth_[stack];
    if (site.kind == SiteKind::kFinal || site.kind == SiteKind::kLogits)
      depth = {.blocks = table.layers[stack], .steps = 0, .top = true};
    else if (!depth.top && site.block + 1 > depth.blocks)
      depth = {.blocks = site.block + 1, .steps = site.step + 1};
    else if (!depth.top && site.block + 1 == depth.blocks)
      depth.steps = site.step < 0 ? 0 : std::max(depth.steps, site.step + 1);

    if (stored) {
      plan.feeds_.back().push_back(static_cast<int>(plan.stored_.size()));
      plan.stored_.push_back({.name = site.name,
                              .stack = site.stack,
                              .unit = unit_of(site),
                              .width = site.width,
                              .heads = site.heads,
                              .cross = site.cross,
                              .dtype = site.dtype == DType::kI32 ? site.dtype : request.save_dtype,
                              .hf_index = site.hf_index});
    }
    if (term != mix[stack].end()) {
      plan.mix_.back() = {.stored = static_cast<int>(stack),
                          .weight = term->second,
                          .first = term == mix[stack].begin(),
                          .last = term + 1 == mix[stack].end()};
    }
  }
  for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
    if (mix[stack].empty()) continue;
    const auto id = static_cast<StackId>(stack);
    Site shape;
    for (const Site& site : table.sites) {
      if (site.stack == id && site.kind == SiteKind::kEmbed) shape = site;
    }
    for (std::size_t i = 0; i < plan.observed_.size(); ++i) {
      if (plan.mix_[i].stored >= 0 && plan.observed_[i].stack == id)
        plan.mix_[i].stored = static_cast<int>(plan.stored_.size());
    }
    const std::string prefix = !both ? "" : stack == 0 ? "enc." : "dec.";
    plan.stored_.push_back({.name = prefix + "mix",
                            .stack = id,
                            .unit = unit_of(shape),
                            .width = shape.width,
                            .dtype = request.save_dtype});
  }
  return plan;
}

int TapPlan::wants(StackId stack, int block, int step, SiteKind kind) const noexcept {
  const auto at = static_cast<std::size_t>(stack);
  const auto row = static_cast<std::size_t>(block < 0 ? layers_[at] : block);
  return map_[at][(row * static_cast<std::size_t>(steps_[at] + 1) + static_cast<std::size_t>(step + 1)) * kKinds +
                  static_cast<std::size_t>(kind)];
}

bool TapPlan::wants_stack(StackId stack) const noexcept { return wants_stack_[static_cast<std::size_t>(stack)]; }

std::vector<std::int32_t> TapPlan::picks(std::int64_t row, std::int64_t tokens) const {
  std::vector<std::int32_t> result;
  if (sample_ > 0) {
    std::vector<std::pair<std::uint64_t, std::int32_t>> keyed;
    for (std::int64_t position = 0; position < tokens; ++position) {
      const std::array<std::int64_t, 2> key = {row, position};  // little-endian, as every machine we build for
      keyed.emplace_back(hash64(std::as_bytes(std::span(key)), seed_), static_cast<std::int32_t>(position));
    }
    const auto count = static_cast<std::size_t>(std::min(sample_, tokens));
    std::partial_sort(keyed.begin(), keyed.begin() + static_cast<std::ptrdiff_t>(count), keyed.end());
    for (std::size_t i = 0; i < count; ++i) result.push_back(keyed[i].second);
  } else {
    for (const std::int32_t position : positions_) {
      const std::int64_t absolute = position < 0 ? position + tokens : position;
      if (absolute >= 0 && absolute < tokens) result.push_back(static_cast<std::int32_t>(absolute));
    }
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

std::int64_t TapPlan::stored_rows(std::size_t index, std::int64_t row,
                                  const std::array<std::int64_t, 2>& tokens) const {
  const StoredSite& site = stored_[index];
  const std::int64_t own = tokens[static_cast<std::size_t>(site.stack)];
  switch (site.unit) {
    case StoredUnit::kTokens: return site.cross ? tokens[0] : own;
    case StoredUnit::kPooled: return 1;
    case StoredUnit::kPicks: return static_cast<std::int64_t>(picks(row, site.cross ? tokens[0] : own).size());
    case StoredUnit::kProbs: return site.heads * own;
  }
  return 0;
}

std::int64_t TapPlan::stored_elements(std::size_t index, std::int64_t row,
                                      const std::array<std::int64_t, 2>& tokens) const {
  const StoredSite& site = stored_[index];
  const std::int64_t rows = stored_rows(index, row, tokens);
  if (site.unit != StoredUnit::kProbs) return rows * site.width;
  return rows * (site.cross ? tokens[0] : tokens[static_cast<std::size_t>(site.stack)]);
}

}  // namespace layerscope
