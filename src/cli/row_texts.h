// The texts that stored rows came from.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "layerscope/error.h"

namespace layerscope::cli {

/// Reads the input that a run was made from (-i FILE) as far as it takes and returns the texts of these row numbers, a
/// pair as "text | pair"; rows of ids have none. Errors: kRuntime for a file that cannot be read or that has no such
/// row.
[[nodiscard]] Result<std::map<std::int64_t, std::string>> texts_of_rows(const std::string& path,
                                                                        std::vector<std::int64_t> numbers);

}  // namespace layerscope::cli
