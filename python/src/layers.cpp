// probe and similarity: numbers about the vectors of layers.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "base/try.h"
#include "bindings.h"
#include "errors.h"
#include "interrupt.h"
#include "job/row_texts.h"
#include "probe/probe.h"
#include "probe/similarity.h"
#include "report.h"
#include "store/run_reader.h"
#include "view/probe_view.h"
#include "view/similarity_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

/// A layer in memory: its name, its number if it has one, and [rows, width].
using LayerIn = std::tuple<std::string, std::optional<int>, ArrayIn<float, 2>>;

/// Where vectors come from: a run's path, or what `name` stands for: a model that reads rows, or arrays.
struct Source {
  std::string name;
  std::shared_ptr<const Model> model;
  std::optional<RowsSource> rows;  ///< that a model reads; of a run, its texts
  std::vector<LayerIn> arrays;
  bool allow_incomplete = false;
  TokenizeOptions tokenize;
  [[nodiscard]] std::vector<GivenLayer> given() const {
    std::vector<GivenLayer> layers;
    for (const auto& [layer, hf_index, array] : arrays) {
      const auto count = static_cast<std::int64_t>(array.shape(0)), width = static_cast<std::int64_t>(array.shape(1));
      layers.push_back(
          {layer, hf_index, {DType::kF32, reinterpret_cast<const std::byte*>(array.data()), count, width, width}});
    }
    return layers;
  }
};

Result<LabelFile> read_labels(const RowsSource& labels, const std::string& key) {
  return labels.path.empty() ? LabelFile::of_json(labels.lines, "labels", key) : LabelFile::read(labels.path, key);
}

Result<Gathered> gather(const Source& source, const LabelFile& labels, const GatherOptions& options,
                        const std::atomic<bool>& stop) {
  LAYERSCOPE_TRY(check_pool(options, labels));
  if (!source.arrays.empty()) return gather_from_vectors(source.name, source.given(), labels, options);
  std::unique_ptr<RowReader> rows;
  if (source.rows) {
    LAYERSCOPE_ASSIGN(rows, open_rows(*source.rows, stop));
  }
  const bool run = run_parts(source.name).ok();
  if (!run) return gather_from_model(*source.model, *rows, {.tokenize = source.tokenize}, labels, options);
  if (source.rows && !source.rows->path.empty()) {
    LAYERSCOPE_ASSIGN(const RunView view, open_run(source.name, source.allow_incomplete));
    LAYERSCOPE_TRY(check_texts(source.rows->path, view.parts.front().manifest, source.name));
  }
  return gather_from_run(source.name, source.allow_incomplete, {source.model.get(), rows.get()}, labels, options);
}

GatherOptions gather_options(std::string layers, std::string sites, const std::optional<std::string>& pool,
                             const std::string& align, const std::optional<std::string>& task, int threads) {
  GatherOptions options{.layers = std::move(layers), .sites = std::move(sites), .threads = all_cores(threads)};
  std::error_code ignored;
  options.folder = std::filesystem::temp_directory_path(ignored).string();
  if (options.folder.empty()) options.folder = ".";
  if (pool) options.pool = pooling_from_name(*pool);
  if (pool && options.pool.value_or(Pooling::kNone) == Pooling::kNone)
    raise({ErrorCode::kUsage, "pool \"" + *pool + "\": expected cls, mean, max, mean_sqrt, weightedmean or last"});
  if (align != "first" && align != "mean" && align != "last")
    raise({ErrorCode::kUsage, "align \"" + align + "\": expected first, mean or last"});
  options.word = align == "mean" ? Pooling::kMean : align == "last" ? Pooling::kLast : Pooling::kCls;
  if (task && *task != "classify" && *task != "regress")
    raise({ErrorCode::kUsage, "task \"" + *task + "\": expected classify or regress"});
  if (task) options.kind = *task == "regress" ? ProbeKind::kRegress : ProbeKind::kClassify;
  return options;
}

std::optional<ProbeMetric> metric_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  for (const ProbeMetric metric : {ProbeMetric::kAccuracy, ProbeMetric::kMacroF1, ProbeMetric::kR2}) {
    if (metric_name(metric) == *name) return metric;
  }
  raise({ErrorCode::kUsage, "metric \"" + *name + "\": expected accuracy, f1 or r2"});
}

Report probe(const Source& source, const RowsSource& labels, const std::string& label_key, std::string layers,
             std::string sites, const std::optional<std::string>& pool, const std::string& align,
             const std::optional<std::string>& task, const std::optional<std::string>& metric, int folds,
             std::uint64_t seed, bool control, bool mdl, bool scalar_mix, int threads) {
  const GatherOptions options = gather_options(std::move(layers), std::move(sites), pool, align, task, threads);
  ProbeSettings settings{.metric = metric_of(metric), .options = {}, .mix = scalar_mix};
  settings.options.folds = folds;
  settings.options.seed = seed;
  settings.options.control = control;
  settings.options.description_length = mdl;
  settings.options.threads = options.threads;
  std::shared_ptr<const ProbeReport> report;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    settings.options.stop = [&stop] { return stop.load(); };
    LAYERSCOPE_ASSIGN(const LabelFile file, read_labels(labels, label_key));
    LAYERSCOPE_ASSIGN(const Gathered gathered, gather(source, file, options, stop));
    LAYERSCOPE_ASSIGN(ProbeReport found, probe_layers(gathered, file.path(), settings));
    report = std::make_shared<const ProbeReport>(std::move(found));
    return {};
  });
  const auto view = [report, name = source.name, folds, seed] { return ProbeView{*report, name, folds, seed}; };
  return {.json = probe_json(view()),
          .picture = [view](const Terminal& terminal) { return probe_picture(view(), terminal); },
          .page = [view] { return probe_page(view()); }};
}

class StoppableLayers final : public LayerSource {
 public:
  StoppableLayers(std::unique_ptr<LayerSource> layers, const std::atomic<bool>& stop)
      : layers_(std::move(layers)), stop_(stop) {}
  const std::string& path() const noexcept override { return layers_->path(); }
  const std::vector<StoredSite>& sites() const noexcept override { return layers_->sites(); }
  Result<bool> next(LayerBlock& block) override {
    if (stop_) return Error{ErrorCode::kCancelled, "stopped"};
    return layers_->next(block);
  }

 private:
  std::unique_ptr<LayerSource> layers_;
  const std::atomic<bool>& stop_;
};

Result<std::unique_ptr<LayerSource>> open_layers(const Source& source, const TapRequest& request, int threads,
                                                 const std::atomic<bool>& stop) {
  std::unique_ptr<LayerSource> layers;
  if (!source.arrays.empty()) {
    LAYERSCOPE_ASSIGN(layers, given_layers(source.name, source.given()));
  } else if (source.model != nullptr) {
    LAYERSCOPE_ASSIGN(std::unique_ptr<RowReader> rows, open_rows(source.rows.value_or(RowsSource()), stop));
    LAYERSCOPE_ASSIGN(layers, model_layers(*source.model, std::move(rows),
                                           {.request = request, .tokenize = source.tokenize, .threads = threads}));
  } else {
    LAYERSCOPE_ASSIGN(layers, open_run_layers(source.name, request.layers, source.allow_incomplete));
  }
  return std::unique_ptr<LayerSource>(std::make_unique<StoppableLayers>(std::move(layers), stop));
}

Report similarity(const Source& a, const Source* b, std::string layers, std::string sites, std::string positions,
                  const std::string& pool, std::int64_t vectors, std::uint64_t seed, int threads) {
  const std::optional<Pooling> pooling = pooling_from_name(pool);
  if (!pooling) {
    raise({ErrorCode::kUsage,
           "pool \"" + pool + "\" is unknown, expected none, cls, mean, max, mean_sqrt, weightedmean or last"});
  }
  const TapRequest request{.layers = std::move(layers),
                           .sites = std::move(sites),
                           .positions = std::move(positions),
                           .pool = *pooling,
                           .seed = seed};
  const int cores = all_cores(threads);
  std::shared_ptr<const SimilarityReport> report;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    LAYERSCOPE_ASSIGN(const std::unique_ptr<LayerSource> first, open_layers(a, request, cores, stop));
    std::unique_ptr<LayerSource> second;
    if (b != nullptr) {
      LAYERSCOPE_ASSIGN(second, open_layers(*b, request, cores, stop));
    }
    LAYERSCOPE_ASSIGN(SimilarityReport found,
                      measure_similarity(*first, second.get(), {.vectors = vectors, .seed = seed, .threads = cores}));
    report = std::make_shared<const SimilarityReport>(std::move(found));
    return {};
  });
  const std::string name_b = b == nullptr ? "" : b->name;
  const auto view = [report, name_a = a.name, name_b, seed] { return SimilarityView{name_a, name_b, seed, *report}; };
  return {.json = similarity_json(view()),
          .picture = [view](const Terminal& terminal) { return similarity_picture(view(), terminal); },
          .page = [view] { return similarity_page(view()); }};
}

}  // namespace

void bind_layers(nb::module_& module) {
  nb::class_<Source>(module, "Source", "Where vectors come from: a run, a model with rows, or arrays.")
      .def(
          "__init__",
          [](Source* source, std::string name, const std::shared_ptr<Model>& model, std::optional<RowsSource> rows,
             std::vector<LayerIn> arrays, bool allow_incomplete, bool add_special_tokens, bool truncate,
             std::optional<std::int64_t> max_length) {
            new (source)
                Source{std::move(name),
                       model,
                       std::move(rows),
                       std::move(arrays),
                       allow_incomplete,
                       {.add_special_tokens = add_special_tokens, .truncate = truncate, .max_length = max_length}};
          },
          "name"_a, "model"_a = nb::none(), "rows"_a = nb::none(), "arrays"_a = std::vector<LayerIn>(),
          "allow_incomplete"_a = false, "add_special_tokens"_a = true, "truncate"_a = false,
          "max_length"_a = nb::none())
      .def_prop_ro("reads", [](const Source& source) { return source.rows.has_value(); });
  module.def("probe", &probe, "source"_a, "labels"_a, nb::kw_only(), "label_key"_a = "", "layers"_a = "",
             "sites"_a = "", "pool"_a = nb::none(), "align"_a = "first", "task"_a = nb::none(), "metric"_a = nb::none(),
             "folds"_a = 5, "seed"_a = 0, "control"_a = true, "mdl"_a = true, "scalar_mix"_a = false, "threads"_a = 0,
             "What each layer knows.");
  module.def("similarity", &similarity, "a"_a, "b"_a.none(), nb::kw_only(), "layers"_a = "", "sites"_a = "",
             "positions"_a = "all", "pool"_a = "none", "vectors"_a = 0, "seed"_a = 0, "threads"_a = 0,
             "How alike layers are.");
}

}  // namespace layerscope::python
