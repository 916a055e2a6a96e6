#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "bindings.h"
#include "errors.h"
#include "interrupt.h"
#include "layerscope/model.h"
#include "rows.h"
#include "session/classify.h"
#include "session/inspect.h"
#include "session/model_state.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

std::unique_ptr<Model> open(const std::string& folder, const std::string& dtype, const std::string& device,
                            const std::string& isa, bool weights) {
  Result<std::unique_ptr<Model>> model = Error{};
  {
    const nb::gil_scoped_release released;
    model = Model::open(folder, {.dtype = dtype, .device = device, .isa = isa, .weights = weights});
  }
  return take(std::move(model));
}

// What the pooler makes of first final states, [rows, width].
NumpyArray<float, 2> pool(const Model& model, const ArrayIn<float, 2>& firsts) {
  const std::size_t rows = firsts.shape(0), width = firsts.shape(1);
  std::vector<float> pooled(rows * width);
  const auto count = static_cast<std::int64_t>(rows), elements = static_cast<std::int64_t>(width);
  const RowsView in{DType::kF32, reinterpret_cast<const std::byte*>(firsts.data()), count, elements, elements};
  const MutableRows out{DType::kF32, reinterpret_cast<std::byte*>(pooled.data()), count, elements, elements};
  run_interruptibly([&](const std::atomic<bool>&) {
    model.enter_worker();
    return model.pool(in, out);
  });
  return array_of<float, 2>(std::move(pooled), {rows, width});
}

// The scores of every row, [rows, labels] of each.
std::vector<NumpyArray<float, 2>> classify(const Model& model, const Rows& rows, int threads) {
  std::vector<LabelScores> scores;
  run_interruptibly([&](const std::atomic<bool>&) -> Status {
    auto made = classify_rows(model, rows.rows, all_cores(threads));
    if (!made) return made.error();
    scores = std::move(made).value();
    return {};
  });
  std::vector<NumpyArray<float, 2>> arrays;
  for (LabelScores& row : scores) {
    const auto count = static_cast<std::size_t>(row.rows);
    const std::size_t labels = row.logits.size() / std::max<std::size_t>(count, 1);
    arrays.push_back(array_of<float, 2>(std::move(row.logits), {count, labels}));
  }
  return arrays;
}

}  // namespace

void bind_model(nb::module_& module) {
  nb::class_<Site>(module, "Site", "A point of the forward pass at which values can be observed.")
      .def_ro("name", &Site::name)
      .def_prop_ro("decoder", [](const Site& site) { return site.stack == StackId::kDecoder; })
      .def_prop_ro("probabilities", [](const Site& site) { return site.kind == SiteKind::kProbs; })
      .def_ro("block", &Site::block)
      .def_ro("width", &Site::width)
      .def_ro("heads", &Site::heads)
      .def_ro("cross", &Site::cross)
      .def_ro("hf_index", &Site::hf_index);
  nb::class_<Labels>(module, "Labels", "The labels of a classifier's head.")
      .def_ro("names", &Labels::names)
      .def_ro("each_token", &Labels::each_token)
      .def_prop_ro("regression", [](const Labels& labels) { return labels.problem == LabelProblem::kRegression; })
      .def_prop_ro("many", [](const Labels& labels) { return labels.problem == LabelProblem::kManyLabels; });
  nb::class_<Model>(module, "Model", "An opened folder.")
      .def_static("open", &open, "folder"_a, "dtype"_a = "f32", "device"_a = "cpu", "isa"_a = "", "weights"_a = true)
      .def_prop_ro("path", [](const Model& model) { return model.info().path; })
      .def_prop_ro("model_type", [](const Model& model) { return model.info().model_type; })
      .def_prop_ro("parameters", [](const Model& model) { return model.info().parameters; })
      .def_prop_ro("isa", [](const Model& model) { return model.info().isa; })
      .def_prop_ro("library", [](const Model& model) { return model.info().library; })
      .def_prop_ro("dtype", [](const Model& model) { return model.info().dtype; })
      .def_prop_ro("has_tokenizer", [](const Model& model) { return model.info().has_tokenizer; })
      .def_prop_ro("has_type_ids", [](const Model& model) { return model.info().has_type_ids; })
      .def_prop_ro("two_stacks", [](const Model& model) { return model.info().two_stacks; })
      .def_prop_ro("has_decoder", [](const Model& model) { return model.state().spec.decoder.has_value(); })
      .def_prop_ro("has_pooler", [](const Model& model) { return model.info().has_pooler; })
      .def_prop_ro("has_head", [](const Model& model) { return model.info().has_head; })
      .def_prop_ro("no_head", [](const Model& model) { return model.state().no_head; })
      .def_prop_ro("no_labels", [](const Model& model) { return model.state().no_labels; })
      .def_prop_ro("labels", [](const Model& model) { return model.info().labels; })
      .def_prop_ro("vocabulary_size", [](const Model& model) { return model.info().vocabulary_size; })
      .def_prop_ro("max_tokens", [](const Model& model) { return model.info().max_tokens; })
      .def_prop_ro("width", [](const Model& model) { return model.state().spec.width; })
      .def_prop_ro("layers",
                   [](const Model& model) { return std::make_tuple(model.sites().layers[0], model.sites().layers[1]); })
      .def_prop_ro("sites", [](const Model& model) { return model.sites().sites; })
      .def("inspect_json", [](const Model& model) { return inspect_json(model.state()); })
      .def(
          "token",
          [](const Model& model, std::int32_t id) -> std::optional<nb::bytes> {
            const Tokenizer* tokenizer = model.state().tokenizer.get();
            const std::optional<std::string> token = tokenizer == nullptr ? std::nullopt : tokenizer->token(id);
            if (!token) return std::nullopt;
            return nb::bytes(token->data(), token->size());
          },
          "id"_a);
  module.def("pool", &pool, "model"_a, "firsts"_a, "What the pooler makes of the final states of first tokens.");
  module.def("classify", &classify, "model"_a, "rows"_a, "threads"_a = 0);
}

}  // namespace layerscope::python
