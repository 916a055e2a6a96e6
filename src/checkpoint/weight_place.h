// Where weight files may lie: nothing in a model's folder may lead a reader out of it.
#pragma once

#include <string>

#include "layerscope/error.h"

namespace layerscope {

/// Ok if `folder`/`file` is, after following links, inside `folder`; or if `folder` is a snapshot of the Hugging Face
/// cache (models--ORG--NAME/snapshots/REVISION, or a folder below it) and the file is in models--ORG--NAME/blobs. Opens
/// nothing. A missing file, a dangling link and a link to anywhere else are errors of ErrorCode::kModel.
[[nodiscard]] Status check_weight_place(const std::string& folder, const std::string& file);

}  // namespace layerscope
