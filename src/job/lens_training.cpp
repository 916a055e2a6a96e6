#include "job/lens_training.h"

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <set>

#include "analysis/affine_fit.h"
#include "base/try.h"
#include "session/model_state.h"
#include "session/score_tiles.h"
#include "session/tuned_lens.h"
#include "session/workers.h"
#include "store/layout.h"
#include "store/whole_file.h"

namespace layerscope {
namespace {

constexpr std::uint64_t kMomentBytes = std::uint64_t{2} << 30;
constexpr std::array kRidges{1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0};
constexpr double kUsualRidge = 1e-2;  // where nothing is held out

/// Moments of one layer, in two parts.
struct Moments {
  ResidualMoments fitted, held_out;
};

/// What a fit is judged by and what it becomes.
struct Fit {
  ResidualMap map;
  LensLayerFit report;
};

/// The map that is best on what was held out, fitted to everything. No map is better than a bad one.
Fit fit_layer(const std::string& site, Moments moments) {
  const std::int64_t width = moments.fitted.width();
  const auto size = static_cast<std::size_t>(width);
  std::optional<double> ridge;
  Fit fit{{std::vector<float>(size * size), std::vector<float>(size)}, {.site = site}};
  const bool judged = moments.fitted.pairs() > 0 && moments.held_out.pairs() > 0;
  if (judged) {
    fit.report.before = fit.report.after = ResidualFit::error(moments.held_out, nullptr);
    for (const double candidate : kRidges) {
      const std::optional<ResidualMap> map = ResidualFit::solve(moments.fitted, candidate);
      const double error = ResidualFit::error(moments.held_out, &*map);
      if (!(error < fit.report.after)) continue;
      fit.report.after = error;
      ridge = candidate;
    }
  } else {
    ridge = kUsualRidge;
  }
  moments.fitted.add(moments.held_out);
  if (ridge) {
    if (std::optional<ResidualMap> map = ResidualFit::solve(moments.fitted, *ridge)) fit.map = *std::move(map);
  }
  if (!judged) {
    fit.report.before = ResidualFit::error(moments.fitted, nullptr);
    fit.report.after = ResidualFit::error(moments.fitted, &fit.map);
  }
  return fit;
}

class Training {
 public:
  Training(const Model& model, StreamSource& source, const std::string& path, int threads)
      : model_(model), source_(source), path_(path), file_(path), threads_(threads) {}

  Result<LensTraining> run() {
    LAYERSCOPE_TRY(choose_sites());
    ShardLayout layout(tensors());
    LAYERSCOPE_TRY(file_.open());
    LAYERSCOPE_TRY(file_.append(layout.header()));
    LAYERSCOPE_ASSIGN(const std::string hash, lens_model_hash(model_));
    LAYERSCOPE_TRY(file_.write_at(layout.position(kLensModel), std::as_bytes(std::span(hash))));
    const std::uint64_t each = 2 * ResidualMoments::bytes(width_);
    const auto group = static_cast<std::size_t>(std::max<std::uint64_t>(1, kMomentBytes / each));
    for (std::size_t first = 0; first < sites_.size(); first += group)
      LAYERSCOPE_TRY(train_group(first, std::min(group, sites_.size() - first), layout));
    LAYERSCOPE_TRY(file_.finish());
    return std::move(result_);
  }

 private:
  Status choose_sites() {
    const Site& top = head_input(model_);
    const bool both = model_.info().two_stacks;
    const std::string prefix = !both ? "" : top.stack == StackId::kDecoder ? "dec." : "enc.";
    const int layers = model_.sites().layers[static_cast<std::size_t>(top.stack)];
    width_ = model_.state().spec.width;
    std::vector<std::string> wanted = {prefix + "embed"};
    for (int block = 0; block + 1 < layers; ++block)
      wanted.push_back(prefix + "block." + std::to_string(block) + ".out");
    const Stack& stack = top.stack == StackId::kDecoder ? *model_.state().spec.decoder : *model_.state().spec.encoder;
    std::vector<std::string> targets = {prefix + "block." + std::to_string(layers - 1) + ".out"};
    if (!stack.top && !stack.projection) targets.push_back(top.name);
    LAYERSCOPE_ASSIGN(sites_, source_.available(wanted));
    LAYERSCOPE_ASSIGN(const std::vector<std::string> found, source_.available(targets));
    if (sites_.empty() || found.empty()) {
      return Error{ErrorCode::kUsage,
                   "no states of " + (found.empty() ? targets.front() : "a layer below " + found.front()) +
                       " to train on: store them with states --sites '" + prefix + "embed," + prefix + "block.*.out'"};
    }
    target_ = found.front();
    return {};
  }

  [[nodiscard]] std::vector<ShardTensor> tensors() const {
    std::vector<ShardTensor> all{{.name = std::string(kLensModel), .dtype = DType::kU8, .shape = {32}}};
    for (const std::string& site : sites_) {
      all.push_back({.name = site + std::string(kLensTurn), .dtype = DType::kF32, .shape = {width_, width_}});
      all.push_back({.name = site + std::string(kLensShift), .dtype = DType::kF32, .shape = {width_}});
    }
    return all;
  }

  Status train_group(std::size_t first, std::size_t count, const ShardLayout& layout) {
    std::vector<std::string> names(sites_.begin() + static_cast<std::ptrdiff_t>(first),
                                   sites_.begin() + static_cast<std::ptrdiff_t>(first + count));
    names.push_back(target_);
    std::vector<Moments> moments(count);
    for (Moments& of_site : moments) of_site = {ResidualMoments(width_), ResidualMoments(width_)};
    std::set<std::int64_t> rows;
    std::int64_t tokens = 0;
    const auto take = [&](const StreamBatch& batch) -> Status {
      rows.insert(batch.rows.begin(), batch.rows.end());
      tokens += static_cast<std::int64_t>(batch.rows.size());
      return for_each_index(model_, count, threads_, [&](std::size_t site) -> Status {
        add_batch(batch, site, moments[site]);
        return {};
      });
    };
    LAYERSCOPE_TRY(source_.walk(names, take));
    if (tokens == 0) return Error{ErrorCode::kUsage, path_ + ": nothing to train on: the input holds no row"};
    result_.rows = static_cast<std::int64_t>(rows.size());
    result_.tokens = tokens;
    std::vector<Fit> fits(count);
    LAYERSCOPE_TRY(for_each_index(model_, count, threads_, [&](std::size_t site) -> Status {
      fits[site] = fit_layer(names[site], std::move(moments[site]));
      return {};
    }));
    for (Fit& fit : fits) {
      const std::string& site = fit.report.site;
      LAYERSCOPE_TRY(write(layout.position(site + std::string(kLensTurn)), fit.map.turn));
      LAYERSCOPE_TRY(write(layout.position(site + std::string(kLensShift)), fit.map.shift));
      result_.layers.push_back(std::move(fit.report));
    }
    return {};
  }

  Status write(std::uint64_t position, const std::vector<float>& values) {
    return file_.write_at(position, std::as_bytes(std::span(values)));
  }

  void add_batch(const StreamBatch& batch, std::size_t site, Moments& moments) const {
    const auto width = static_cast<std::size_t>(width_);
    const float* const targets = batch.streams.back().data();
    const float* const streams = batch.streams[site].data();
    std::vector<WeightedPair> fitted, held_out;
    for (std::size_t token = 0; token < batch.rows.size(); ++token) {
      const WeightedPair pair{streams + token * width, targets + token * width, 0};
      double length = 0;
      for (std::size_t k = 0; k < width; ++k) length += double{pair.target[k]} * double{pair.target[k]};
      if (!(length > 0)) continue;
      (batch.rows[token] % 10 == 9 ? held_out : fitted).push_back({pair.x, pair.target, 1 / length});
    }
    moments.fitted.add(fitted);
    moments.held_out.add(held_out);
  }

  const Model& model_;
  StreamSource& source_;
  const std::string& path_;
  WholeFile file_;
  int threads_;
  std::int64_t width_ = 0;
  std::vector<std::string> sites_;
  std::string target_;
  LensTraining result_;
};

}  // namespace

Result<LensTraining> train_lens(const Model& model, StreamSource& source, const std::string& path, int threads) {
  LAYERSCOPE_TRY(model.load_head());
  try {
    return Training(model, source, path, threads).run();
  } catch (const std::bad_alloc&) {
    return Error{ErrorCode::kResource, path + ": out of memory while the lens was trained"};
  }
}

}  // namespace layerscope
