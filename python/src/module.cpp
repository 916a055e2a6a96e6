// layerscope._native: the library, as the Python files of the package use it. Not an interface for users.
#include "bindings.h"

#include <string>

#include <nanobind/stl/string.h>

#include "errors.h"
#include "layerscope/hub.h"

namespace nb = nanobind;

NB_MODULE(_native, module) {
  using namespace layerscope::python;
  module.doc() = "The library, as the package's Python files use it: names here may change at any time.";
  bind_rows(module);
  bind_plan(module);
  bind_model(module);
  bind_tokenizer(module);
  bind_embedder(module);
  bind_generation(module);
  bind_report(module);
  bind_lens(module);
  bind_diff(module);
  bind_layers(module);
  bind_run_folder(module);
  module.attr("version") = LAYERSCOPE_VERSION;
  module.def(
      "find_model_folder",
      [](const std::string& name, const std::string& cache) {
        return take(cache.empty() ? layerscope::find_model_folder(name) : layerscope::find_model_folder(name, cache));
      },
      nb::arg("name"), nb::arg("cache") = "", "The folder that a path or org/name stands for.");
}
