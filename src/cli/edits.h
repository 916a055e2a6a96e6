// The language of --edit and --edits (docs/edits.md).
#pragma once

#include <string>
#include <vector>

#include "layerscope/edits.h"
#include "layerscope/error.h"

namespace layerscope::cli {

struct EditArguments {
  std::vector<std::string> edits;  ///< SITE:OP[:POSITIONS]=VECTORS, as often as --edit was given
  std::string file;                ///< --edits, a JSON list of edits that come first; empty: none
};

/// Reads the files and runs that the edits name. Errors: kUsage for what cannot be understood or does not exist under
/// its name, kRuntime for files that cannot be read, kDamage for a run that is not what was written.
[[nodiscard]] Result<std::vector<Edit>> read_edits(const EditArguments& arguments, const SiteTable& sites);

}  // namespace layerscope::cli
