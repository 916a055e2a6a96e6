#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "base/parallel.h"
#include "base/try.h"
#include "bindings.h"
#include "diff/compare.h"
#include "diff/dump_file.h"
#include "diff/open_sides.h"
#include "interrupt.h"
#include "plan.h"
#include "report.h"
#include "store/run_reader.h"
#include "view/diff_view.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

/// A run's or a dump's path, or a model with edits of its stream.
using SideIn = std::tuple<std::string, std::shared_ptr<Model>, std::vector<EditIn>>;

NamedSide named_side(const SideIn& in) {
  const auto& [path, model, given] = in;
  return {.path = model == nullptr ? path : model->info().path,
          .edited = !given.empty(),
          .model = [held = std::shared_ptr<const Model>(model), edits = edits_of(given),
                    path = path]() -> Result<EditedModel> {
            if (held == nullptr) return Error{ErrorCode::kUsage, path + ": is no run folder and no dump"};
            return EditedModel{held, edits};
          }};
}

Result<std::vector<DiffInput>> read_texts(const RowsSource& source, const std::atomic<bool>& stop) {
  std::vector<DiffInput> texts;
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_rows(source, stop));
  while (true) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, next_good(*reader));
    if (!row) break;
    texts.push_back({row->number, row->row});
  }
  if (texts.empty()) return Error{ErrorCode::kInput, "texts: there are none"};
  return texts;
}

using Compared = std::pair<Report, std::vector<std::string>>;

Compared diff(const SideIn& a, const SideIn& b, const std::optional<RowsSource>& texts, std::string layers,
              std::string sites, std::optional<double> tolerance, bool allow_incomplete, bool add_special_tokens,
              bool truncate, std::optional<std::int64_t> max_length, int threads) {
  DiffOptions options{
      .tokenize = {.add_special_tokens = add_special_tokens, .truncate = truncate, .max_length = max_length},
      .layers = std::move(layers),
      .sites = std::move(sites),
      .tolerance = tolerance,
      .threads = all_cores(threads)};
  const NamedSide named_a = named_side(a), named_b = named_side(b);
  std::shared_ptr<const DiffReport> report;
  std::vector<std::string> notes;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    options.stop = [&stop] { return stop.load(); };
    if (texts) {
      LAYERSCOPE_ASSIGN(options.texts, read_texts(*texts, stop));
    }
    LAYERSCOPE_ASSIGN(const OpenedSides sides, open_sides(named_a, named_b, allow_incomplete, options.threads));
    notes = sides.notes;
    LAYERSCOPE_ASSIGN(DiffReport found, compare(*sides.a, *sides.b, options));
    report = std::make_shared<const DiffReport>(std::move(found));
    return {};
  });
  return {{.json = diff_json(*report),
           .picture = [report](const Terminal& terminal) { return diff_picture(*report, terminal); },
           .page = [report] { return diff_page(*report); }},
          std::move(notes)};
}

}  // namespace

void bind_diff(nb::module_& module) {
  module.def(
      "stored_kind", [](const std::string& path) { return is_dump(path)          ? "dump"
                                                          : run_parts(path).ok() ? "run"
                                                                                 : ""; },
      "path"_a, "\"run\" or \"dump\", empty for what is neither.");
  module.def("diff", &diff, "a"_a, "b"_a, "texts"_a = nb::none(), nb::kw_only(), "layers"_a = "", "sites"_a = "",
             "tol"_a = nb::none(), "allow_incomplete"_a = false, "add_special_tokens"_a = true, "truncate"_a = false,
             "max_length"_a = nb::none(), "threads"_a = 0,
             "Compares two sides (path, model or None, edits); the report, and notes on the sides.");
}

}  // namespace layerscope::python
