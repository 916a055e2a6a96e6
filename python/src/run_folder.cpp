#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "errors.h"
#include "store/run_reader.h"
#include "store/shard_reader.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace layerscope::python {
namespace {

// Name, type as safetensors has it, shape, first byte and end in the file.
using TensorPlace = std::tuple<std::string, std::string, std::vector<std::int64_t>, std::uint64_t, std::uint64_t>;
// Path of a shard and what it holds.
using ShardPlace = std::tuple<std::string, std::vector<TensorPlace>>;

struct OpenedRun {
  std::string manifest;
  bool complete = false;
  std::vector<StoredSite> sites;
  std::vector<ShardPlace> shards;
};

Result<ShardPlace> shard_place(const std::string& path) {
  auto reader = ShardReader::open(path);
  if (!reader) return reader.error();
  ShardPlace place{path, {}};
  for (const ShardTensor& tensor : reader->tensors()) {
    const auto dims = tensor.shape.dims();
    std::get<1>(place).emplace_back(tensor.name, std::string(dtype_name(tensor.dtype)),
                                    std::vector<std::int64_t>(dims.begin(), dims.end()),
                                    reader->data_begin() + tensor.begin, reader->data_begin() + tensor.end);
  }
  return place;
}

OpenedRun open(const std::string& folder, bool allow_incomplete) {
  const RunView view = take(layerscope::open_run(folder, allow_incomplete));
  OpenedRun run{.manifest = manifest_text(view.parts.front().manifest),
                .complete = view.complete(),
                .sites = view.parts.front().manifest.schema.sites,
                .shards = {}};
  for (const RunPart& part : view.parts) {
    for (const ShardRecord& record : part.records) run.shards.push_back(take(shard_place(part.shard_path(record))));
  }
  return run;
}

}  // namespace

void bind_run_folder(nb::module_& module) {
  nb::class_<OpenedRun>(module, "OpenedRun", "A run folder: what it is and where its tensors lie.")
      .def_ro("manifest", &OpenedRun::manifest)
      .def_ro("complete", &OpenedRun::complete)
      .def_ro("sites", &OpenedRun::sites)
      .def_ro("shards", &OpenedRun::shards);
  module.def("open_run", &open, "folder"_a, "allow_incomplete"_a = false);
}

}  // namespace layerscope::python
