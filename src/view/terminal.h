// What can be drawn on a terminal.
#pragma once

#include <cstddef>
#include <cstdint>

namespace layerscope {

enum class ColorDepth : std::uint8_t { kNone, k16, k256, kTrue };

struct Terminal {
  bool stdout_is_terminal = false, stderr_is_terminal = false;
  ColorDepth color = ColorDepth::kNone;  ///< on stdout
  std::size_t columns = 80;              ///< of stdout
};

}  // namespace layerscope
