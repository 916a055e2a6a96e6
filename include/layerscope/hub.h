// Models by name, from what the Hugging Face tools have downloaded before. Nothing here uses the network.
#pragma once

#include <string>

#include "layerscope/error.h"

namespace layerscope {

/// The folder that `model` stands for. A folder of that name wins; "org/name" and "org/name@revision" (a branch, tag or
/// commit, "main" where none is given) are looked up in find_hub_cache(); anything else is returned as it is.
/// Errors: kModel when the name is not in the cache, or its snapshot is partial, leads out of the repository, or is
/// otherwise not to be trusted.
[[nodiscard]] Result<std::string> find_model_folder(const std::string& model);
/// The same in another cache folder.
[[nodiscard]] Result<std::string> find_model_folder(const std::string& model, const std::string& cache);

/// The local cache: $HF_HUB_CACHE, $HUGGINGFACE_HUB_CACHE, $HF_HOME/hub, $XDG_CACHE_HOME/huggingface/hub or
/// ~/.cache/huggingface/hub, the first whose variable is set; empty where none is. (huggingface_hub, constants.py)
[[nodiscard]] std::string find_hub_cache();

}  // namespace layerscope
