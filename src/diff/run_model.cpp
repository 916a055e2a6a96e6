#include "diff/run_model.h"

#include <algorithm>

#include "backend/backend.h"
#include "base/try.h"
#include "job/identity.h"
#include "store/run_reader.h"

namespace layerscope {
namespace {

Result<std::shared_ptr<const Model>> open(const std::string& folder) {
  LAYERSCOPE_ASSIGN(const RunView run, open_run(folder, true));
  const Manifest& manifest = run.parts.front().manifest;
  const Json config(manifest.config);
  if (const Json* edits = config.find("edits");
      edits != nullptr && edits->array() != nullptr && !edits->array()->empty())
    return Error{ErrorCode::kRuntime, "its states were edited"};
  OpenOptions options;
  if (const Json* dtype = config.find("dtype"); dtype != nullptr && dtype->string() != nullptr)
    options.dtype = *dtype->string();
  const std::vector<std::string> isas = cpu_isas();
  if (std::ranges::find(isas, manifest.isa) != isas.end()) options.isa = manifest.isa;
  LAYERSCOPE_ASSIGN(std::unique_ptr<Model> model, Model::open(manifest.model_path, options));
  Manifest now;
  LAYERSCOPE_TRY(hash_model_files(model->info(), now));
  for (const ManifestFile& file : now.files) {
    const auto same = [&](const ManifestFile& other) { return other.name == file.name && other.xxh128 == file.xxh128; };
    if (std::ranges::none_of(manifest.files, same))
      return Error{ErrorCode::kRuntime, manifest.model_path + "/" + file.name + " is not the file it was made with"};
  }
  return std::shared_ptr<const Model>(std::move(model));
}

}  // namespace

std::shared_ptr<const Model> model_of_run(const std::string& folder, std::string& why) {
  auto model = open(folder);
  if (model) return std::move(model).value();
  why = model.error().message;
  return nullptr;
}

}  // namespace layerscope
