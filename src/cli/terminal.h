// Where the program's streams lead, and what can be drawn there.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cli/arguments.h"

namespace layerscope::cli {

enum class ColorDepth : std::uint8_t { kNone, k16, k256, kTrue };

struct Terminal {
  bool stdout_is_terminal = false, stderr_is_terminal = false;
  ColorDepth color = ColorDepth::kNone;  ///< on stdout
  std::size_t columns = 80;              ///< of stdout; COLUMNS goes before the terminal's own size
};

/// Colour only on a terminal, and there not with --no-color, NO_COLOR (not empty) or TERM=dumb; --color wins over all.
[[nodiscard]] Terminal detect_terminal(int out, int err, const CommonArguments& common, const Environment& environment);

/// How many colours TERM and COLORTERM promise.
[[nodiscard]] ColorDepth promised_colors(const Environment& environment);

}  // namespace layerscope::cli
