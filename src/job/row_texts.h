// The texts of some rows, found again in the file they came from.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "layerscope/error.h"
#include "store/manifest.h"

namespace layerscope {

/// The texts of rows `numbers` (any order) of a .txt or .jsonl file, by number; a pair's are joined by " | ". Rows that
/// are not there, or hold ids, have none. Reads up to the last wanted row.
[[nodiscard]] Result<std::map<std::int64_t, std::string>> row_texts(const std::string& path,
                                                                    std::span<const std::int64_t> numbers);

/// Whether `path` is the input that a run was made from, as far as its manifest knows (XXH3-128). Errors: kUsage if
/// not.
[[nodiscard]] Status check_texts(const std::string& path, const Manifest& manifest, const std::string& run);

}  // namespace layerscope
