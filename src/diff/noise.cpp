#include "diff/noise.h"

#include <algorithm>
#include <cmath>

#include "analysis/difference.h"
#include "backend/backend.h"
#include "base/memory.h"
#include "base/try.h"
#include "diff/chain.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

constexpr std::int64_t kSampleTokens = 256;
constexpr double kSampleProducts = 2e10;        // multiplications of the float64 run: seconds
constexpr std::int64_t kLeastTokens = 16;
constexpr double kMostReferenceBytes = 16e9;    // of weights in float64
constexpr std::int64_t kMostDecoderTokens = 64;

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
  meter->reference_ = fits_reference(meter->model_->info());
  LAYERSCOPE_ASSIGN(const auto yardstick, meter->engine(meter->reference_ ? "f64" : "f32", ""));
  LAYERSCOPE_ASSIGN(meter->states_, run_live(*yardstick, meter->sample_.rows, meter->names_,
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

Status NoiseMeter::add(const Model& other, NoiseTable& table) const {
  const LiveOptions options{.threads = sample_.threads};
  const SiteTable& sites = model_->sites();
  const auto compare = [&](const std::vector<std::vector<SideBlock>>& found, std::span<const std::string> names,
                           bool alone) {
    for (std::size_t s = 0; s < names.size(); ++s) {
      const int block = block_of_site(sites, names[s]);
      const std::size_t at = index_of(names_, names[s]);
      DifferenceSum sum;
      for (std::size_t row = 0; row < found.size(); ++row) {
        const SideBlock &a = found[row][s], &b = states_[row][at];
        const auto width = static_cast<std::size_t>(b.width);
        for (std::size_t t = 0; t < static_cast<std::size_t>(b.rows); ++t) {
          const bool counts = alone ? undecided_.counts_alone(row, t, block) : undecided_.counts(row, t, block);
          if (counts) sum.add(std::span(a.values).subspan(t * width, width), std::span(b.values).subspan(t * width, width));
        }
      }
      raise((alone ? table.alone : table.from_tokens)[names[s]], sum.result());
    }
  };
  LAYERSCOPE_ASSIGN(const auto whole, run_live(other, sample_.rows, sample_.sites, options));
  compare(whole, sample_.sites, false);
  for (const ChainLink& link : chain_of(other, names_, sample_.sites)) {
    LAYERSCOPE_ASSIGN(const auto part, run_link(other, link, sample_.rows, states_, names_, options));
    compare(part, link.outputs, true);
  }
  return {};
}

Result<NoiseTable> NoiseMeter::measure(const SidePrecision& precision) const {
  NoiseTable table;
  for (const std::string& site : sample_.sites) table.from_tokens[site] = {};
  if (precision.dtype != "f64") {
    LAYERSCOPE_ASSIGN(const auto own, engine(precision.dtype, ""));
    LAYERSCOPE_TRY(add(*own, table));
    if (const std::string isa = other_isa(own->info().isa); !isa.empty()) {
      LAYERSCOPE_ASSIGN(const auto other, engine(precision.dtype, isa));
      LAYERSCOPE_TRY(add(*other, table));
    }
  }
  const double computed = unit_roundoff(precision.dtype == "f64" ? DType::kF64 : DType::kF32);
  const double stored = unit_roundoff(precision.stored);
  // Another engine that hands out half floats has its stream in them: a rounding a step, two steps a block.
  const bool half_stream = !precision.ours && stored > unit_roundoff(DType::kF32);
  const auto finish = [&](const std::string& site, Floor& floor, bool alone) {
    widen(floor, std::max(computed, stored));
    if (!half_stream) return;
    const int block = std::min(block_of_site(model_->sites(), site), 10'000);
    const int blocks = alone ? 1 : std::clamp(block + 2, 1, std::max(model_->sites().layers[0], model_->sites().layers[1]) + 1);
    widen(floor, 2 * stored * std::sqrt(2.0 * blocks));
  };
  for (auto& [site, floor] : table.from_tokens) finish(site, floor, false);
  for (auto& [site, floor] : table.alone) finish(site, floor, true);
  return table;
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
