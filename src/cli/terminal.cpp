#include "cli/terminal.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace layerscope::cli {
namespace {

constexpr std::size_t kFewestColumns = 40;
constexpr std::size_t kMostColumns = 1000;

std::string_view variable(const Environment& environment, const char* name) {
  const char* const value = environment(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::size_t find_columns(int out, const Environment& environment) {
  std::size_t columns = 0;
  const std::string_view text = variable(environment, "COLUMNS");
  std::from_chars(text.data(), text.data() + text.size(), columns);
  winsize size{};
  if (columns == 0 && ioctl(out, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns == 0 ? 80 : std::clamp(columns, kFewestColumns, kMostColumns);
}

}  // namespace

ColorDepth promised_colors(const Environment& environment) {
  const std::string_view color_term = variable(environment, "COLORTERM");
  if (color_term == "truecolor" || color_term == "24bit") return ColorDepth::kTrue;
  const std::string_view term = variable(environment, "TERM");
  if (term.find("direct") != std::string_view::npos) return ColorDepth::kTrue;
  return term.find("256color") != std::string_view::npos ? ColorDepth::k256 : ColorDepth::k16;
}

Terminal detect_terminal(int out, int err, const CommonArguments& common, const Environment& environment) {
  Terminal terminal;
  terminal.stdout_is_terminal = isatty(out) == 1;
  terminal.stderr_is_terminal = isatty(err) == 1;
  terminal.columns = find_columns(out, environment);
  const std::string_view term = variable(environment, "TERM");
  const bool refused = common.no_color || !variable(environment, "NO_COLOR").empty() || term == "dumb" || term.empty();
  if (common.color || (terminal.stdout_is_terminal && !refused)) terminal.color = promised_colors(environment);
  return terminal;
}

}  // namespace layerscope::cli
