#include "diff/noise.h"

#include <algorithm>
#include <cmath>

#include "analysis/difference.h"
#include "backend/backend.h"
#include "base/memory.h"
#include "base/try.h"
#include "diff/chain.h"
#include "kernels/scalar.h"

namespace layerscope {
namespace {

constexpr std::int64_t kSampleTokens = 256;
constexpr double kSampleProducts = 2e10;  // multiplications of the float64 run: seconds
constexpr std::int64_t kLeastTokens = 16;
constexpr double kMostReferenceBytes = 16e9;  // of weights in float64
constexpr std::int64_t kMostDecoderTokens = 64;
constexpr double kMeanRounding = 0.5;  // root mean square of rounding errors, in unit roundoffs, with room

void raise(Floor& floor, const Difference& difference) {
  floor.all = std::max(floor.all, difference.rel_l2);
  floor.token = std::max(floor.token, difference.worst_token_rel);
}

void widen(Floor& floor, double size) {
  floor.all = std::hypot(floor.all, size);
  floor.token = std::hypot(floor.token, size);
}

bool fits_reference(const ModelInfo& info) {
  const double bytes = static_cast<double>(info.parameters) * sizeof(double);
  const std::optional<std::uint64_t> free = available_memory();
  return bytes <= kMostReferenceBytes && (!free || bytes <= static_cast<double>(*free) / 2);
}

/// The next lower instruction set, or the next higher one for the lowest: another order of summation.
std::string other_isa(const std::string& isa) {
  const std::vector<std::string> all = cpu_isas();
  const auto found = std::ranges::find(all, isa);
  if (found == all.end() || all.size() < 2) return "";
  // Sets that differ in bfloat16 products alone sum float32 alike.
  const auto same = [&](const std::string& other) { return isa.starts_with("avx512") && other.starts_with("avx512"); };
  for (auto next = found + 1; next != all.end(); ++next) {
    if (!same(*next)) return *next;
  }
  return found == all.begin() ? "" : *(found - 1);
}

using Blocks = std::vector<std::vector<SideBlock>>;

/// Blocks `site_a` of a against blocks `site_b` of b, of the tokens that count(row, token).
template <class Counts>
Difference distance(const Blocks& a, std::size_t site_a, const Blocks& b, std::size_t site_b, const Counts& counts) {
  DifferenceSum sum;
  for (std::size_t row = 0; row < a.size(); ++row) {
    const SideBlock &one = a[row][site_a], &other = b[row][site_b];
    const auto width = static_cast<std::size_t>(other.width);
    for (std::size_t t = 0; t < static_cast<std::size_t>(other.rows); ++t) {
      if (counts(row, t))
        sum.add(std::span(one.values).subspan(t * width, width), std::span(other.values).subspan(t * width, width));
    }
  }
  return sum.result();
}

/// The states as a side that stores them in `dtype` hands them out.
Blocks stored_as(Blocks states, DType dtype) {
  if (unit_roundoff(dtype) <= unit_roundoff(DType::kF32)) return states;
  for (std::vector<SideBlock>& row : states) {
    for (SideBlock& block : row) {
      for (double& value : block.values) {
        std::byte bytes[sizeof(double)];
        store_element(dtype, bytes, 0, value);
        value = load_element<double>(dtype, bytes, 0);
      }
    }
  }
  return states;
}

void cut(Tokens& tokens, std::int64_t most) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(1, most));
  if (tokens.ids.size() <= count) return;
  tokens.ids.resize(count);
  tokens.special.resize(std::min(tokens.special.size(), count));
  if (!tokens.type_ids.empty()) tokens.type_ids.resize(count);
}

}  // namespace

Floor together(const Floor& a, const Floor& b) noexcept {
  return {std::hypot(a.all, b.all), std::hypot(a.token, b.token)};
}

double unit_roundoff(DType dtype) noexcept {
  switch (dtype) {
    case DType::kF64: return 0x1p-53;
    case DType::kF16: return 0x1p-11;
    case DType::kBF16: return 0x1p-8;
    default: return 0x1p-24;
  }
}

std::vector<SideRow> sample_rows(const Model& model, const std::vector<const SideRow*>& rows) {
  const double products = std::max(1.0, static_cast<double>(model.info().parameters));
  const std::int64_t most =
      std::clamp(static_cast<std::int64_t>(kSampleProducts / products), kLeastTokens, kSampleTokens);
  std::vector<SideRow> sample;
  std::int64_t tokens = 0;
  const std::size_t step = std::max<std::size_t>(1, rows.size() / 16);
  for (std::size_t i = 0; i < rows.size() && tokens < most; i += step) {
    SideRow row = *rows[i];
    cut(row.tokens.main, most - tokens);
    if (row.tokens.decoder) cut(*row.tokens.decoder, kMostDecoderTokens);
    tokens += static_cast<std::int64_t>(row.tokens.main.ids.size());
    sample.push_back(std::move(row));
  }
  return sample;
}

Result<std::unique_ptr<NoiseMeter>> NoiseMeter::open(std::shared_ptr<const Model> model, NoiseSample sample) {
  auto meter = std::make_unique<NoiseMeter>();
  meter->model_ = std::move(model);
  meter->names_ = sample.known;
  for (const std::string& site : sample.sites) {
    if (std::ranges::find(meter->names_, site) == meter->names_.end()) meter->names_.push_back(site);
  }
  meter->sample_ = std::move(sample);
  LAYERSCOPE_ASSIGN(meter->yardstick_, meter->engine(fits_reference(meter->model_->info()) ? "f64" : "f32", ""));
  LAYERSCOPE_ASSIGN(meter->states_, run_live(*meter->yardstick_, meter->sample_.rows, meter->names_,
                                             {.threads = meter->sample_.threads}));
  const std::vector<ChainLink> chain = chain_of(*meter->model_, meter->names_, meter->names_);
  LAYERSCOPE_ASSIGN(meter->undecided_, Undecided::find(*meter->model_, chain, meter->sample_.rows, meter->states_,
                                                       meter->names_, {.threads = meter->sample_.threads}));
  return meter;
}

Result<std::shared_ptr<const Model>> NoiseMeter::engine(const std::string& dtype, const std::string& isa) const {
  const ModelInfo& info = model_->info();
  if (info.dtype == dtype && (info.isa == isa || isa.empty())) return model_;
  LAYERSCOPE_ASSIGN(std::unique_ptr<Model> opened, Model::open(info.path, {.dtype = dtype, .isa = isa}));
  return std::shared_ptr<const Model>(std::move(opened));
}

Status NoiseMeter::with_engines(const SidePrecision& precision,
                                const std::function<Status(const Model&)>& visit) const {
  if (precision.dtype == "f64") return {};
  LAYERSCOPE_ASSIGN(const auto own, engine(precision.dtype, ""));
  LAYERSCOPE_TRY(visit(*own));
  const std::string isa = other_isa(own->info().isa);
  if (isa.empty()) return {};
  LAYERSCOPE_ASSIGN(const auto other, engine(precision.dtype, isa));
  return visit(*other);
}

Status NoiseMeter::add(const Model& other, DType stored, NoiseTable& table) const {
  const LiveOptions options{.threads = sample_.threads};
  const SiteTable& sites = model_->sites();
  LAYERSCOPE_ASSIGN(const Blocks whole, run_live(other, sample_.rows, sample_.sites, options));
  for (std::size_t s = 0; s < sample_.sites.size(); ++s) {
    const std::string& site = sample_.sites[s];
    const int block = block_of_site(sites, site);
    raise(table.from_tokens[site],
          distance(whole, s, states_, index_of(names_, site),
                   [&](std::size_t row, std::size_t t) { return undecided_.counts(row, t, block); }));
  }
  const Blocks read = stored_as(states_, stored);
  for (const ChainLink& link : chain_of(other, names_, sample_.sites)) {
    LAYERSCOPE_ASSIGN(const Blocks part, run_link(other, link, sample_.rows, read, names_, options));
    for (std::size_t s = 0; s < link.outputs.size(); ++s) {
      raise(table.alone[link.outputs[s]],
            distance(part, s, states_, index_of(names_, link.outputs[s]),
                     [&](std::size_t row, std::size_t t) { return undecided_.counts_alone(row, t, link.block); }));
    }
  }
  return {};
}

void NoiseMeter::finish(const SidePrecision& precision, const std::string& site, bool alone, Floor& floor) const {
  widen(floor, unit_roundoff(precision.dtype == "f64" ? DType::kF64 : DType::kF32));
  if (unit_roundoff(precision.stored) <= unit_roundoff(DType::kF32)) return;
  const double rounding = kMeanRounding * unit_roundoff(precision.stored);
  widen(floor, rounding);
  if (precision.ours) return;
  // Another engine that hands out half floats has its stream in them: a rounding a step, two steps a block.
  const SiteTable& sites = model_->sites();
  const int most = std::max(sites.layers[0], sites.layers[1]);
  const int blocks = alone ? 1 : std::clamp(std::min(block_of_site(sites, site), most) + 1, 1, most);
  widen(floor, rounding * std::sqrt(2.0 * blocks));
}

Result<NoiseTable> NoiseMeter::measure(const SidePrecision& precision) const {
  NoiseTable table;
  for (const std::string& site : sample_.sites) table.from_tokens[site] = {};
  for (const ChainLink& link : chain_of(*model_, names_, sample_.sites)) {
    for (const std::string& site : link.outputs) table.alone[site] = {};
  }
  LAYERSCOPE_TRY(with_engines(precision, [&](const Model& other) { return add(other, precision.stored, table); }));
  for (auto& [site, floor] : table.from_tokens) finish(precision, site, false, floor);
  for (auto& [site, floor] : table.alone) finish(precision, site, true, floor);
  return table;
}

Result<std::map<std::string, Floor>> NoiseMeter::measure_part(const SidePrecision& precision, const ChainLink& link,
                                                              std::span<const SideRow> rows,
                                                              std::span<const std::vector<SideBlock>> states,
                                                              std::span<const std::string> names) const {
  std::map<std::string, Floor> floors;
  if (!has_reference()) return floors;
  const LiveOptions options{.threads = sample_.threads};
  LAYERSCOPE_ASSIGN(const Blocks exact, run_link(*yardstick_, link, rows, states, names, options));
  const std::vector<ChainLink> chain = {link};
  LAYERSCOPE_ASSIGN(const Undecided undecided, Undecided::find(*model_, chain, rows, states, names, options));
  const auto add_part = [&](const Model& other) -> Status {
    LAYERSCOPE_ASSIGN(const Blocks part, run_link(other, link, rows, states, names, options));
    for (std::size_t s = 0; s < link.outputs.size(); ++s) {
      raise(floors[link.outputs[s]], distance(part, s, exact, s, [&](std::size_t row, std::size_t t) {
              return undecided.counts_alone(row, t, link.block);
            }));
    }
    return {};
  };
  LAYERSCOPE_TRY(with_engines(precision, add_part));
  for (auto& [site, floor] : floors) finish(precision, site, true, floor);
  return floors;
}

Floor estimated_floor(const SidePrecision& a, const SidePrecision& b, int depth) noexcept {
  const auto one = [&](const SidePrecision& precision) {
    const DType computed = precision.dtype == "bf16"  ? DType::kBF16
                           : precision.dtype == "f64" ? DType::kF64
                                                      : DType::kF32;
    return 4 * std::max(unit_roundoff(computed), unit_roundoff(precision.stored)) * std::sqrt(1.0 + depth);
  };
  const double all = std::hypot(one(a), one(b));
  return {all, 4 * all};
}

}  // namespace layerscope
