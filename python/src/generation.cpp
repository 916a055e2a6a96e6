#include <optional>
#include <string>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "bindings.h"
#include "errors.h"
#include "interrupt.h"
#include "rows.h"
#include "session/generator.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

constexpr std::size_t kMostRows = 32;  // that run at once

// A row that has been written on, and what it showed.
struct Written {
  GeneratedRow row;
  std::vector<std::vector<float>> values;  // by stored site of the plan
};

// Keeps what rows show, by tag and observed site.
class Collector final : public GenerationObserver {
 public:
  Collector(const TapPlan& plan, std::size_t rows) : rows_(rows, Values(plan.observed().size())) {}
  Status observe(std::uint64_t tag, const Frame& frame) override {
    std::vector<float>& values = rows_[static_cast<std::size_t>(tag)][static_cast<std::size_t>(frame.observed)];
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      const float* row = frame.rows.row<float>(i);
      values.insert(values.end(), row, row + frame.rows.width);
    }
    return {};
  }
  void restart(std::uint64_t tag) override {
    for (std::vector<float>& values : rows_[static_cast<std::size_t>(tag)]) values.clear();
  }
  /// A row's values by stored site.
  [[nodiscard]] std::vector<std::vector<float>> take(std::uint64_t tag, const TapPlan& plan) {
    std::vector<std::vector<float>> stored(plan.stored().size());
    Values& values = rows_[static_cast<std::size_t>(tag)];
    for (std::size_t observed = 0; observed < values.size(); ++observed) {
      for (const int site : plan.feeds(static_cast<int>(observed)))
        stored[static_cast<std::size_t>(site)] = values[observed];
    }
    values = {};
    return stored;
  }

 private:
  using Values = std::vector<std::vector<float>>;
  std::vector<Values> rows_;
};

Result<TapPlan> plan_of(const Model& model, const std::string& layers, const std::string& sites) {
  auto plan = TapPlan::compile(model.sites(), {.layers = layers, .sites = sites});
  if (!plan) return plan;
  for (const StoredSite& site : plan->stored()) {
    if (site.unit == StoredUnit::kProbs)
      return Error{ErrorCode::kUsage, "site \"" + site.name + "\" is not kept while text is generated"};
  }
  return plan;
}

Result<std::vector<Written>> write(const Model& model, const std::vector<TextRow>& rows, GenerationOptions options,
                                   const TokenizeOptions& tokenize, const TapPlan* plan,
                                   const std::atomic<bool>& stop) {
  std::optional<Collector> collector;
  if (plan != nullptr) collector.emplace(*plan, rows.size());
  auto generator = Generator::create(model, std::move(options), plan, collector ? &*collector : nullptr);
  if (!generator) return generator.error();
  std::vector<Written> written(rows.size());
  std::size_t joined = 0;
  while (joined < rows.size() || (*generator)->rows() > 0) {
    if (stop) return Error{ErrorCode::kCancelled, "stopped"};
    for (; joined < rows.size() && (*generator)->rows() < kMostRows; ++joined) {
      auto prompt = (*generator)->tokenize(rows[joined], tokenize);
      if (!prompt) return in_row(prompt.error(), joined, rows.size());
      (*generator)->join(joined, static_cast<std::int64_t>(joined), std::move(prompt).value());
    }
    auto ended = (*generator)->step();
    if (!ended) return ended.error();
    for (GeneratedRow& row : *ended) {
      Written& own = written[static_cast<std::size_t>(row.tag)];
      if (collector) own.values = collector->take(row.tag, *plan);
      own.row = std::move(row);
    }
  }
  return written;
}

std::vector<Written> generate(const Model& model, const std::vector<TextRow>& rows, std::int64_t max_new_tokens,
                              std::optional<double> temperature, std::optional<std::int64_t> top_k,
                              std::optional<double> top_p, std::optional<double> min_p,
                              std::optional<double> repetition_penalty, std::optional<std::int64_t> min_new_tokens,
                              const std::optional<std::vector<std::int32_t>>& eos_token_id,
                              std::vector<std::string> stop_strings, std::uint64_t seed, bool add_special_tokens,
                              const std::string& layers, const std::string& sites, bool states, const EditPlan* edits,
                              int threads) {
  const GenerationFlags flags{.temperature = temperature,
                              .top_k = top_k,
                              .top_p = top_p,
                              .min_p = min_p,
                              .repetition_penalty = repetition_penalty,
                              .ignore_eos = false,
                              .stop_strings = std::move(stop_strings)};
  GenerationOptions options;
  options.config =
      take(with_flags(take(read_generation_config(model.info().path, model.info().vocabulary_size)), flags));
  if (min_new_tokens) options.config.min_new_tokens = *min_new_tokens;
  if (eos_token_id) options.config.eos_token_id = *eos_token_id;
  options.max_new_tokens = max_new_tokens;
  options.seed = seed;
  options.edits = edits;
  options.threads = all_cores(threads);
  std::optional<TapPlan> plan;
  if (states) plan.emplace(take(plan_of(model, layers, sites)));
  std::vector<Written> written;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    auto made = write(model, rows, options, {.add_special_tokens = add_special_tokens}, plan ? &*plan : nullptr, stop);
    if (!made) return made.error();
    written = std::move(made).value();
    return {};
  });
  return written;
}

}  // namespace

void bind_generation(nb::module_& module) {
  nb::class_<Written>(module, "Written", "A row that has been written on.")
      .def_prop_ro(
          "output_ids", [](const Written& written) { return array_of(written.row.output_ids); }, nb::rv_policy::move)
      .def_prop_ro(
          "prompt_ids",
          [](const Written& written) {
            const ModelRow& prompt = written.row.prompt;
            return array_of(prompt.decoder ? prompt.decoder->ids : prompt.main.ids);
          },
          nb::rv_policy::move, "What the decoder read first.")
      .def_prop_ro("stopped", [](const Written& written) { return written.row.stopped; })
      .def_prop_ro("text",
                   [](const Written& written) { return nb::bytes(written.row.text.data(), written.row.text.size()); })
      .def(
          "values",
          [](const Written& written, std::size_t site, std::int64_t width) {
            if (site >= written.values.size() || width < 1) throw nb::index_error("there is no such site");
            const std::vector<float>& values = written.values[site];
            return array_of<float, 2>(
                values, {values.size() / static_cast<std::size_t>(width), static_cast<std::size_t>(width)});
          },
          "site"_a, "width"_a, "The states of a stored site, [tokens, width].");
  module.def("generate", &generate, "model"_a, "rows"_a, nb::kw_only(), "max_new_tokens"_a,
             "temperature"_a = nb::none(), "top_k"_a = nb::none(), "top_p"_a = nb::none(), "min_p"_a = nb::none(),
             "repetition_penalty"_a = nb::none(), "min_new_tokens"_a = nb::none(), "eos_token_id"_a = nb::none(),
             "stop_strings"_a = std::vector<std::string>(), "seed"_a = 0, "add_special_tokens"_a = true,
             "layers"_a = "", "sites"_a = "", "states"_a = false, "edits"_a.none() = nb::none(), "threads"_a = 0);
}

}  // namespace layerscope::python
