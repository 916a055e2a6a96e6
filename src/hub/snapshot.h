// One snapshot of a cached repository: is everything there, and does it stay in its place.
#pragma once

#include <string>

#include "layerscope/error.h"

namespace layerscope {

/// `snapshot` is REPOSITORY/snapshots/COMMIT. kModel unless it holds config.json and its weights whole, and every file
/// of it that a model is read from lies in it or among the repository's blobs. Nothing but the shards' index is read.
[[nodiscard]] Status check_snapshot(const std::string& repository, const std::string& snapshot);

}  // namespace layerscope
