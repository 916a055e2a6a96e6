#include <optional>
#include <string>
#include <vector>

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "base/parallel.h"
#include "bindings.h"
#include "errors.h"
#include "interrupt.h"
#include "rows.h"
#include "session/embedder.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

EmbedOptions options_of(std::optional<std::string> prompt, std::optional<std::string> prompt_name,
                        const std::optional<std::string>& task, std::optional<bool> normalize,
                        std::optional<std::int64_t> truncate_dim, std::optional<std::int64_t> max_length) {
  EmbedOptions options;
  options.prompt = std::move(prompt);
  options.prompt_name = std::move(prompt_name);
  if (task) options.task = *task == "query" ? TextTask::kQuery : TextTask::kDocument;
  options.normalize = normalize;
  options.truncate_dim = truncate_dim;
  options.tokenize.max_length = max_length;
  return options;
}

std::unique_ptr<Embedder> open(const std::string& folder, const std::string& dtype, const std::string& device,
                               const std::string& isa) {
  Result<std::unique_ptr<Embedder>> embedder = Error{};
  {
    const nb::gil_scoped_release released;
    embedder = Embedder::open(folder, {.dtype = dtype, .device = device, .isa = isa}, {});
  }
  return take(std::move(embedder));
}

Rows tokenize(const Embedder& embedder, const std::vector<TextRow>& texts, int threads) {
  Rows rows;
  std::optional<Error> error;
  {
    const nb::gil_scoped_release released;
    for (Result<ModelRow>& row : embedder.tokenize(texts, threads)) {
      if (!row) {
        error = in_row(row.error(), rows.rows.size(), texts.size());
        break;
      }
      rows.rows.push_back(std::move(row).value());
    }
  }
  if (error) raise(*error);
  return rows;
}

NumpyArray<float, 2> embed(const Embedder& embedder, const Rows& rows, int threads) {
  std::vector<float> vectors;
  run_interruptibly([&](const std::atomic<bool>& stop) -> Status {
    // A thousand rows at a time, between which a signal is heard.
    constexpr std::size_t kRows = 1024;
    const std::span<const ModelRow> all = rows.rows;
    vectors.reserve(all.size() * static_cast<std::size_t>(embedder.width()));
    for (std::size_t first = 0; first < all.size(); first += kRows) {
      if (stop) return Error{ErrorCode::kCancelled, "stopped"};
      auto made = embedder.embed(all.subspan(first, std::min(kRows, all.size() - first)), threads);
      if (!made) return made.error();
      vectors.insert(vectors.end(), made->begin(), made->end());
    }
    return {};
  });
  return array_of<float, 2>(std::move(vectors), {rows.rows.size(), static_cast<std::size_t>(embedder.width())});
}

}  // namespace

void bind_embedder(nb::module_& module) {
  nb::class_<Embedder>(module, "Embedder", "A sentence-transformers folder.")
      .def_static("open", &open, "folder"_a, "dtype"_a = "f32", "device"_a = "cpu", "isa"_a = "")
      .def(
          "with_options",
          [](const Embedder& embedder, std::optional<std::string> prompt, std::optional<std::string> prompt_name,
             const std::optional<std::string>& task, std::optional<bool> normalize,
             std::optional<std::int64_t> truncate_dim, std::optional<std::int64_t> max_length) {
            return take(embedder.with(
                options_of(std::move(prompt), std::move(prompt_name), task, normalize, truncate_dim, max_length)));
          },
          "prompt"_a = nb::none(), "prompt_name"_a = nb::none(), "task"_a = nb::none(), "normalize"_a = nb::none(),
          "truncate_dim"_a = nb::none(), "max_length"_a = nb::none(), "Another way of reading texts, same weights.")
      .def_prop_ro("model", &Embedder::model, nb::rv_policy::reference_internal)
      .def_prop_ro("width", &Embedder::width)
      .def_prop_ro("similarity", &Embedder::similarity)
      .def_prop_ro("recipe_json", [](const Embedder& embedder) { return embedder.recipe().dump(); })
      .def("tokenize", &tokenize, "texts"_a, "threads"_a = 0)
      .def("embed", &embed, "rows"_a, "threads"_a = 0);
}

}  // namespace layerscope::python
