// A run's model, opened again to embed more texts the same way.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "layerscope/error.h"
#include "layerscope/model.h"
#include "session/embedder.h"
#include "store/manifest.h"

namespace layerscope {

/// Opens `folder` as the manifest of a run of vectors says, in the run's dtype unless `open.dtype` names one. Errors:
/// kUsage if the run does not say how its vectors were made, or if a file of the model is not the one it was made with
/// (XXH3-128); those of Embedder::reopen.
[[nodiscard]] Result<std::unique_ptr<Embedder>> reopen_run_embedder(const Manifest& manifest, const std::string& run,
                                                                    const std::string& folder, OpenOptions open,
                                                                    const std::optional<std::string>& prompt,
                                                                    const std::optional<std::string>& prompt_name);

}  // namespace layerscope
