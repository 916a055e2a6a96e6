#include "view/color_ramp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>

namespace layerscope {
namespace {

struct Rgb {
  double red, green, blue;
};

constexpr std::array<Rgb, 9> kViridis{{{68, 1, 84},
                                       {71, 45, 123},
                                       {59, 82, 139},
                                       {44, 114, 142},
                                       {33, 145, 140},
                                       {40, 174, 128},
                                       {94, 201, 98},
                                       {173, 220, 48},
                                       {253, 231, 37}}};

/// Background codes of the 16 colours, and whether black is the text's colour on them.
struct Basic {
  int background;
  bool black;
};
constexpr std::array<Basic, 6> kBasic{{{45, false}, {44, false}, {46, true}, {42, true}, {43, true}, {103, true}}};

Rgb viridis(double position) {
  const double scaled = position * static_cast<double>(kViridis.size() - 1);
  const std::size_t low = std::min(static_cast<std::size_t>(scaled), kViridis.size() - 2);
  const double share = scaled - static_cast<double>(low);
  const auto between = [share](double from, double to) { return from + share * (to - from); };
  const Rgb& a = kViridis[low];
  const Rgb& b = kViridis[low + 1];
  return {between(a.red, b.red), between(a.green, b.green), between(a.blue, b.blue)};
}

/// Nearest of the six levels 0, 95, 135, 175, 215, 255 of xterm's colour cube.
int cube_level(double value) { return value < 48 ? 0 : value < 115 ? 1 : static_cast<int>((value - 35) / 40); }

}  // namespace

RampColor ramp_color(double position) noexcept {
  const Rgb color = viridis(std::clamp(position, 0.0, 1.0));
  return {static_cast<int>(std::lround(color.red)), static_cast<int>(std::lround(color.green)),
          static_cast<int>(std::lround(color.blue)),
          0.299 * color.red + 0.587 * color.green + 0.114 * color.blue > 120};
}

std::string on_ramp(std::string_view text, double position, ColorDepth depth) {
  position = std::clamp(position, 0.0, 1.0);
  const Rgb color = viridis(position);
  const bool black = ramp_color(position).black_text;
  switch (depth) {
    case ColorDepth::kNone: return std::string(text);
    case ColorDepth::k16: {
      const Basic& basic = kBasic[std::min(static_cast<std::size_t>(position * kBasic.size()), kBasic.size() - 1)];
      return fmt::format("\033[{};{}m{}\033[0m", basic.background, basic.black ? 30 : 97, text);
    }
    case ColorDepth::k256: {
      const int index = 16 + 36 * cube_level(color.red) + 6 * cube_level(color.green) + cube_level(color.blue);
      return fmt::format("\033[48;5;{};38;5;{}m{}\033[0m", index, black ? 16 : 231, text);
    }
    case ColorDepth::kTrue: break;
  }
  return fmt::format("\033[48;2;{:.0f};{:.0f};{:.0f};38;2;{}m{}\033[0m", color.red, color.green, color.blue,
                     black ? "0;0;0" : "255;255;255", text);
}

std::string_view bar(double position) noexcept {
  constexpr std::array<std::string_view, 8> kBars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double scaled = std::clamp(position, 0.0, 1.0) * static_cast<double>(kBars.size());
  return kBars[std::min(static_cast<std::size_t>(scaled), kBars.size() - 1)];
}

std::string dim(std::string_view text, ColorDepth depth) {
  return depth == ColorDepth::kNone ? std::string(text) : fmt::format("\033[2m{}\033[0m", text);
}

std::string bold(std::string_view text, ColorDepth depth) {
  return depth == ColorDepth::kNone ? std::string(text) : fmt::format("\033[1m{}\033[0m", text);
}

}  // namespace layerscope
