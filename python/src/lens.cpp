#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "base/parallel.h"
#include "base/try.h"
#include "bindings.h"
#include "interrupt.h"
#include "plan.h"
#include "report.h"
#include "session/lens.h"
#include "view/lens_view.h"
#include "view/model_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

/// One row seen through the lens, with all that shows it.
struct Seen {
  std::shared_ptr<const Model> model;
  InputRow input;
  ModelRow row;
  StackId stack;
  LensRow lens;
  bool picked;
  [[nodiscard]] LensView view() const { return {*model, input, row, stack, lens, picked}; }
};

Report report_of(std::shared_ptr<const Seen> seen) {
  return {.json = lens_json(seen->view()),
          .picture =
              [seen](const Terminal& terminal) {
                return quoted(seen->input, terminal.columns) + "\n" + lens_picture(seen->view(), terminal, false);
              },
          .page = [seen] { return lens_page_begin(*seen->model) + lens_page_row(seen->view()) + lens_page_end(); }};
}

Result<std::vector<Report>> look(const std::shared_ptr<const Model>& model, const RowsSource& rows,
                                 const LensOptions& options, const TokenizeOptions& tokenize,
                                 const std::string& tuned_file, const std::atomic<bool>& stop) {
  std::unique_ptr<TunedLens> tuned;
  if (!tuned_file.empty()) {
    LAYERSCOPE_ASSIGN(tuned, TunedLens::open(tuned_file, *model));
  }
  LAYERSCOPE_ASSIGN(const Lens lens, Lens::open(*model, options, tuned.get()));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_rows(rows, stop));
  std::vector<Report> reports;
  while (true) {
    LAYERSCOPE_ASSIGN(std::optional<InputRow> input, next_good(*reader));
    if (!input) return reports;
    Result<ModelRow> row = model->tokenize(input->row, tokenize);
    Result<LensRow> seen = row ? lens.look(*row, input->number) : Result<LensRow>(row.error());
    if (!seen) return Error{seen.error().code, input->where + ": " + seen.error().message};
    reports.push_back(report_of(std::make_shared<const Seen>(Seen{.model = model,
                                                                  .input = *std::move(input),
                                                                  .row = *std::move(row),
                                                                  .stack = lens.stack(),
                                                                  .lens = *std::move(seen),
                                                                  .picked = options.positions != "all"})));
  }
}

std::vector<Report> lens(const std::shared_ptr<Model>& model, const RowsSource& rows, std::string layers,
                         std::string positions, std::uint64_t seed, std::size_t top_k, const std::vector<EditIn>& edits,
                         const std::string& tuned, bool add_special_tokens, bool truncate,
                         std::optional<std::int64_t> max_length, int threads) {
  const LensOptions options{.layers = std::move(layers),
                            .positions = std::move(positions),
                            .seed = seed,
                            .edits = edits_of(edits),
                            .top = top_k,
                            .threads = all_cores(threads)};
  const TokenizeOptions tokenize{
      .add_special_tokens = add_special_tokens, .truncate = truncate, .max_length = max_length};
  std::vector<Report> reports;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    LAYERSCOPE_ASSIGN(reports, look(model, rows, options, tokenize, tuned, stop));
    return {};
  });
  return reports;
}

}  // namespace

void bind_lens(nb::module_& module) {
  module.def("lens", &lens, "model"_a, "rows"_a, nb::kw_only(), "layers"_a = "all", "positions"_a = "all", "seed"_a = 0,
             "top_k"_a = 5, "edits"_a = std::vector<EditIn>(), "tuned"_a = "", "add_special_tokens"_a = true,
             "truncate"_a = false, "max_length"_a = nb::none(), "threads"_a = 0,
             "What each layer would predict: a report a row.");
}

}  // namespace layerscope::python
