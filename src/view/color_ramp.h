// A value between 0 and 1 as a colour or a shade.
#pragma once

#include <string>
#include <string_view>

#include "view/terminal.h"

namespace layerscope {

/// `text` on the background that stands for `position` (0 low, 1 high), in black or white so that it can be read; the
/// text alone where there is no colour. The ramp is viridis (Smith and van der Walt 2015): even steps, also for the
/// colour-blind.
[[nodiscard]] std::string on_ramp(std::string_view text, double position, ColorDepth depth);

/// The same ramp as a colour, and whether black rather than white is read better on it.
struct RampColor {
  int red = 0, green = 0, blue = 0;
  bool black_text = false;
};
[[nodiscard]] RampColor ramp_color(double position) noexcept;

/// A bar of one column whose height stands for `position`: one of eight from the lowest to a full block.
[[nodiscard]] std::string_view bar(double position) noexcept;

/// Text that steps back, or stands out, where the terminal can say so.
[[nodiscard]] std::string dim(std::string_view text, ColorDepth depth);
[[nodiscard]] std::string bold(std::string_view text, ColorDepth depth);

}  // namespace layerscope
