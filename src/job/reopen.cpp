#include "job/reopen.h"

#include <algorithm>

#include "base/try.h"
#include "job/embed_job.h"
#include "job/identity.h"

namespace layerscope {

Result<std::unique_ptr<Embedder>> reopen_run_embedder(const Manifest& manifest, const std::string& run,
                                                      const std::string& folder, OpenOptions open,
                                                      const std::optional<std::string>& prompt,
                                                      const std::optional<std::string>& prompt_name) {
  const Json config(manifest.config);
  const Json* const recipe = config.find("embedding");
  if (recipe == nullptr) {
    return Error{ErrorCode::kUsage,
                 run + ": holds pooled states and does not say how a text becomes one vector; give queries as a .npy"};
  }
  if (const Json* const dtype = config.find("dtype");
      open.dtype.empty() && dtype != nullptr && dtype->string() != nullptr)
    open.dtype = *dtype->string();
  LAYERSCOPE_ASSIGN(std::unique_ptr<Embedder> embedder, Embedder::reopen(folder, open, *recipe, prompt, prompt_name));
  Manifest now;
  LAYERSCOPE_TRY(hash_model_files(embedder_info(*embedder), now));
  for (const ManifestFile& file : now.files) {
    const auto same = [&](const ManifestFile& other) { return other.name == file.name && other.xxh128 == file.xxh128; };
    if (std::none_of(manifest.files.begin(), manifest.files.end(), same)) {
      return Error{ErrorCode::kUsage, folder + "/" + file.name + ": is not the file that " + run +
                                          " was made with (its xxh128 is " + file.xxh128 +
                                          "); --model names another folder"};
    }
  }
  return embedder;
}

}  // namespace layerscope
