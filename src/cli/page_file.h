// Pages that commands write with --html.
#pragma once

#include <string>
#include <string_view>

#include "layerscope/error.h"

namespace layerscope::cli {

/// Errors: kUsage where something stands at `path` already, unless it may be replaced. An empty path is none.
[[nodiscard]] Status check_page(const std::string& path, bool overwrite);
/// The page appears whole or not at all. Errors: kResource, kRuntime.
[[nodiscard]] Status write_page(const std::string& path, std::string_view text);

}  // namespace layerscope::cli
