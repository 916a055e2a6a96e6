#include "plan.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <tuple>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "bindings.h"
#include "errors.h"
#include "interrupt.h"
#include "rows.h"
#include "session/run_rows.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

const char* unit_name(StoredUnit unit) {
  switch (unit) {
    case StoredUnit::kTokens: return "tokens";
    case StoredUnit::kPooled: return "pooled";
    case StoredUnit::kPicks: return "picks";
    case StoredUnit::kProbs: return "probs";
  }
  return "";
}

TapPlan compile(const Model& model, std::string layers, std::string sites, std::string positions,
                const std::string& pool, std::string mix, std::uint64_t seed) {
  const std::optional<Pooling> pooling = pooling_from_name(pool);
  if (!pooling) {
    raise({ErrorCode::kUsage,
           "pool \"" + pool + "\" is unknown, expected none, cls, mean, max, mean_sqrt, weightedmean or last"});
  }
  return take(TapPlan::compile(model.sites(), {.layers = std::move(layers),
                                               .sites = std::move(sites),
                                               .positions = std::move(positions),
                                               .pool = *pooling,
                                               .mix = std::move(mix),
                                               .seed = seed}));
}

using BlockShapes = std::tuple<NumpyArray<std::int64_t, 1>, NumpyArray<std::int64_t, 1>>;

BlockShapes block_shapes(const Model& model, const TapPlan& plan, std::size_t site, const Rows& rows) {
  if (site >= plan.stored().size()) throw nb::index_error("there is no such site");
  std::vector<std::int64_t> counts, widths;
  for (std::size_t i = 0; i < rows.rows.size(); ++i) {
    const BlockShape shape = block_shape(plan, model, site, rows.first + static_cast<std::int64_t>(i), rows.rows[i]);
    counts.push_back(shape.rows);
    widths.push_back(shape.width);
  }
  return {array_of(std::move(counts)), array_of(std::move(widths))};
}

using Output = std::tuple<FloatsOut, ArrayIn<std::int64_t, 1>, std::int64_t, std::int64_t>;

void run(const Model& model, const TapPlan& plan, const Rows& rows, const std::vector<Output>& outputs, int threads,
         const EditPlan* edits) {
  std::vector<Target> targets;
  for (const auto& [array, offsets, stride, head_stride] : outputs) {
    targets.push_back({.data = array.data(),
                       .elements = static_cast<std::int64_t>(array.size()),
                       .offsets = {offsets.data(), offsets.size()},
                       .stride = stride,
                       .head_stride = head_stride});
  }
  ArraySink sink = take(ArraySink::create(model, plan, rows, std::move(targets)));
  std::vector<RowToRun> running;
  for (std::size_t i = 0; i < rows.rows.size(); ++i)
    running.push_back({&rows.rows[i], rows.first + static_cast<std::int64_t>(i)});
  run_interruptibly([&](const std::atomic<bool>& stop) {
    return run_rows(model, plan, running, sink, {.threads = all_cores(threads), .edits = edits, .stop = &stop});
  });
}

EditPlan compile_edits(const Model& model, const std::vector<EditIn>& given) {
  return take(EditPlan::compile(model.sites(), edits_of(given)));
}

}  // namespace

std::vector<Edit> edits_of(const std::vector<EditIn>& given) {
  std::vector<Edit> edits;
  for (const auto& [site, op, positions, row, values] : given) {
    const std::optional<EditOp> known = edit_op_from_name(op);
    if (!known) raise({ErrorCode::kUsage, "edit \"" + op + "\" is unknown, expected add, set or scale"});
    edits.push_back({.site = site,
                     .op = *known,
                     .positions = positions,
                     .row = row,
                     .values = {values.data(), values.data() + values.size()},
                     .vectors = static_cast<std::int64_t>(values.shape(0))});
  }
  return edits;
}

BlockShape block_shape(const TapPlan& plan, const Model& model, std::size_t site, std::int64_t number,
                       const ModelRow& row) {
  const auto main = static_cast<std::int64_t>(row.main.ids.size());
  const std::int64_t decoder = row.decoder ? static_cast<std::int64_t>(row.decoder->ids.size()) : main;
  const std::array<std::int64_t, 2> tokens = {main, model.info().two_stacks ? decoder : main};
  const std::int64_t rows = plan.stored_rows(site, number, tokens);
  return {rows, rows == 0 ? plan.stored()[site].width : plan.stored_elements(site, number, tokens) / rows};
}

std::int64_t ArraySink::place(const Site& site, std::size_t row, std::int64_t at, std::int64_t width) {
  const Target& target = site.target;
  const std::int64_t stride = target.stride == 0 ? width : target.stride;
  if (!site.probabilities) return target.offsets[row] + at * stride;
  const std::int64_t queries = site.queries[row];
  const std::int64_t head_stride = target.head_stride == 0 ? queries * stride : target.head_stride;
  return target.offsets[row] + at / queries * head_stride + at % queries * stride;
}

Result<ArraySink> ArraySink::create(const Model& model, const TapPlan& plan, const Rows& numbered,
                                    std::vector<Target> targets) {
  const std::span<const ModelRow> rows = numbered.rows;
  const auto refuse = [](const std::string& why) { return Error{ErrorCode::kUsage, "arrays for results: " + why}; };
  if (targets.size() != plan.stored().size()) return refuse("one a site expected");
  constexpr std::int64_t kMost = std::int64_t{1} << 36;  // elements; sums of products stay far from overflow
  ArraySink sink;
  for (std::size_t s = 0; s < targets.size(); ++s) {
    const StoredSite& stored = plan.stored()[s];
    Site site{.target = targets[s], .probabilities = stored.unit == StoredUnit::kProbs, .queries = {}};
    if (site.target.offsets.size() != rows.size()) return refuse("one offset a row expected");
    if (std::min(site.target.stride, site.target.head_stride) < 0 ||
        std::max(site.target.stride, site.target.head_stride) > kMost)
      return refuse("a stride makes no sense");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const BlockShape shape = block_shape(plan, model, s, numbered.first + static_cast<std::int64_t>(i), rows[i]);
      if (site.probabilities) site.queries.push_back(std::max<std::int64_t>(shape.rows / stored.heads, 1));
      if (shape.rows == 0) continue;
      const std::int64_t begin = site.target.offsets[i];
      if (begin < 0 || begin > kMost) return refuse("an offset makes no sense");
      if (place(site, i, shape.rows - 1, shape.width) + shape.width > site.target.elements)
        return refuse("site \"" + stored.name + "\" does not fit into its array");
    }
    sink.sites_.push_back(std::move(site));
  }
  return sink;
}

Status ArraySink::accept(const StateFrame& frame) {
  const Site& site = sites_[static_cast<std::size_t>(frame.site)];
  const auto row = static_cast<std::size_t>(frame.tag);
  const std::int64_t width = frame.rows.width;
  if (!site.probabilities && (site.target.stride == 0 || site.target.stride == width)) {
    std::memcpy(site.target.data + place(site, row, frame.first_row, width), frame.rows.data,
                static_cast<std::size_t>(frame.rows.rows * width) * sizeof(float));
    return {};
  }
  for (std::int64_t i = 0; i < frame.rows.rows; ++i)
    std::copy_n(frame.rows.row<float>(i), width, site.target.data + place(site, row, frame.first_row + i, width));
  return {};
}

void bind_plan(nb::module_& module) {
  nb::class_<StoredSite>(module, "StoredSite", "A site as a plan delivers it.")
      .def_ro("name", &StoredSite::name)
      .def_prop_ro("unit", [](const StoredSite& site) { return unit_name(site.unit); })
      .def_prop_ro("decoder", [](const StoredSite& site) { return site.stack == StackId::kDecoder; })
      .def_ro("width", &StoredSite::width)
      .def_ro("heads", &StoredSite::heads)
      .def_ro("cross", &StoredSite::cross)
      .def_ro("hf_index", &StoredSite::hf_index);
  nb::class_<EditPlan>(module, "EditPlan", "Edits that fit a model.");
  nb::class_<TapPlan>(module, "Plan", "What is observed, compiled against a model.")
      .def_prop_ro("stored", [](const TapPlan& plan) { return plan.stored(); })
      .def(
          "picks",
          [](const TapPlan& plan, std::int64_t row, std::int64_t tokens) { return array_of(plan.picks(row, tokens)); },
          "row"_a, "tokens"_a, "Positions of a row that are kept.");
  module.def("plan", &compile, "model"_a, "layers"_a = "", "sites"_a = "", "positions"_a = "all", "pool"_a = "none",
             "mix"_a = "", "seed"_a = 0);
  module.def("block_shapes", &block_shapes, "model"_a, "plan"_a, "site"_a, "rows"_a,
             "Rows and width of every row's block at a site.");
  module.def("edit_plan", &compile_edits, "model"_a, "edits"_a,
             "From tuples (site, add|set|scale, positions, row or None, vectors).");
  module.def("run", &run, "model"_a, "plan"_a, "rows"_a, "outputs"_a, "threads"_a = 0, "edits"_a.none() = nb::none(),
             "Runs the rows. An output, one a site: (floats, offset of each row's block, stride, stride of heads).");
}

}  // namespace layerscope::python
