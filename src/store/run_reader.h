// A run folder opened for reading, its parts as one.
#pragma once

#include <string>
#include <vector>

#include "layerscope/error.h"
#include "store/journal.h"
#include "store/manifest.h"

namespace layerscope {

/// A run that one process wrote: a whole one, or one of several parts.
struct RunPart {
  int part = -1;  ///< -1 in a run without parts
  std::string folder;
  Manifest manifest;
  std::vector<ShardRecord> records;  ///< shards that are finished
  [[nodiscard]] std::string shard_path(const ShardRecord& record) const {
    return folder + "/" + shard_file_name(record.shard);
  }
};

/// The folders of a run: FOLDER itself, or its part-i by i. Errors: kRuntime if it is no run.
[[nodiscard]] Result<std::vector<std::pair<int, std::string>>> run_parts(const std::string& folder);
/// Reads manifest and journal of one part. Errors: kDamage.
[[nodiscard]] Result<RunPart> read_run_part(int part, const std::string& folder);

/// A run as readers see it.
struct RunView {
  std::vector<RunPart> parts;
  int missing = 0;  ///< parts that are not there
  [[nodiscard]] bool complete() const noexcept;
};

/// Opens a run and checks that its parts belong together. Errors: kRuntime, kDamage; kUsage for missing parts or an
/// incomplete run, unless allowed.
[[nodiscard]] Result<RunView> open_run(const std::string& folder, bool allow_incomplete);

}  // namespace layerscope
