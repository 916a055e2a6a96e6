// What each file adds to the module.
#pragma once

#include <nanobind/nanobind.h>

namespace layerscope::python {

void bind_model(nanobind::module_& module);
void bind_rows(nanobind::module_& module);
void bind_plan(nanobind::module_& module);
void bind_tokenizer(nanobind::module_& module);
void bind_embedder(nanobind::module_& module);
void bind_generation(nanobind::module_& module);
void bind_report(nanobind::module_& module);
void bind_lens(nanobind::module_& module);
void bind_diff(nanobind::module_& module);
void bind_layers(nanobind::module_& module);
void bind_run_folder(nanobind::module_& module);

}  // namespace layerscope::python
