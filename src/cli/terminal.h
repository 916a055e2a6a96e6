// Where the program's streams lead.
#pragma once

#include "cli/arguments.h"
#include "view/terminal.h"

namespace layerscope::cli {

/// Colour only on a terminal, and there not with --no-color, NO_COLOR (not empty) or TERM=dumb; --color wins over all.
/// COLUMNS goes before the terminal's own size.
[[nodiscard]] Terminal detect_terminal(int out, int err, const CommonArguments& common, const Environment& environment);

/// How many colours TERM and COLORTERM promise.
[[nodiscard]] ColorDepth promised_colors(const Environment& environment);

}  // namespace layerscope::cli
