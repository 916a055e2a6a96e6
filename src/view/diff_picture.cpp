#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "diff/verdict.h"
#include "view/color_ramp.h"
#include "view/diff_view.h"
#include "view/display_text.h"

namespace layerscope {
namespace {

constexpr double kLeast = 1e-9, kMost = 1;  // of the bars, on a log scale
constexpr std::size_t kLeastBar = 8, kMostBar = 24, kNumber = 9, kTimes = 10;

std::string short_number(double value) {
  return value == 0 ? "0" : std::isfinite(value) ? fmt::format("{:.1e}", value) : "inf";
}

/// Where an error stands between kLeast and kMost, 0 to 1.
double place(double error) {
  if (!(error > kLeast)) return 0;
  return std::min(1.0, std::log10(error / kLeast) / std::log10(kMost / kLeast));
}

/// A bar to the error, the floor marked in it.
std::string bar_of(double error, double floor, std::size_t columns) {
  const double end = place(error) * static_cast<double>(columns);
  const auto mark = std::min(columns - 1, static_cast<std::size_t>(place(floor) * static_cast<double>(columns)));
  std::string bar;
  for (std::size_t i = 0; i < columns; ++i) {
    const bool inside = static_cast<double>(i) + 0.5 <= end;
    bar += i == mark ? (inside ? "┃" : "│") : inside ? "█" : " ";
  }
  return bar;
}

class Table {
 public:
  Table(const DiffReport& report, const Terminal& terminal) : report_(report), terminal_(terminal) {
    for (const DiffSite& site : report.sites) {
      name_ = std::max(name_, display_width(visible(site.site)));
      local_ = local_ || site.local.has_value();
    }
    name_ = std::min<std::size_t>(name_, 28);
    const std::size_t least = 4 + name_ + kNumber + kTimes;
    local_ = local_ && least + 2 * kNumber + kTimes <= terminal.columns;
    noise_ = least + kNumber <= terminal.columns;
    const std::size_t numbers = least + (noise_ ? kNumber : 0) + (local_ ? kNumber + kTimes : 0) + 2;
    const std::size_t room = terminal.columns > numbers ? terminal.columns - numbers : 0;
    bar_ = room < kLeastBar ? 0 : std::min(room, kMostBar);
  }

  std::string draw() const {
    std::string out = dim(line("", left_aligned("site", name_), "rel. L2", "noise", "times", local_ ? "alone" : "",
                               local_ ? "times" : "", bar_ == 0 ? "" : "1e-9" + std::string(bar_ - 5, ' ') + "1"),
                          terminal_.color) +
                      "\n";
    for (const DiffSite& site : report_.sites) out += row(site) + "\n";
    return out;
  }

 private:
  std::string line(std::string_view k, std::string_view name, std::string_view error, std::string_view noise,
                   std::string_view times, std::string_view local, std::string_view local_times,
                   std::string_view bar) const {
    std::string text = right_aligned(k, 3) + " " + left_aligned(name, name_) + right_aligned(error, kNumber) +
                       (noise_ ? right_aligned(noise, kNumber) : "") + right_aligned(times, kTimes);
    if (local_) text += right_aligned(local, kNumber) + right_aligned(local_times, kTimes);
    if (bar_ > 0) text += "  " + std::string(bar);
    while (text.ends_with(' ')) text.pop_back();
    return text;
  }

  std::string row(const DiffSite& site) const {
    const std::string text =
        line(site.hf_index ? std::to_string(*site.hf_index) : "", clipped_middle(visible(site.site), name_),
             short_number(site.error.rel_l2), short_number(site.noise), times_text(site.times),
             site.local ? short_number(*site.local) : "", site.local ? times_text(site.local_times) : "",
             bar_ == 0 ? "" : bar_of(site.error.rel_l2, report_.tolerance.value_or(site.noise), bar_));
    if (site.local ? site.local_differs : site.differs) return bold(text, terminal_.color);
    return site.differs ? text : dim(text, terminal_.color);
  }

  const DiffReport& report_;
  const Terminal& terminal_;
  std::size_t name_ = 5, bar_ = 0;
  bool local_ = false, noise_ = true;
};

/// Text in lines of the terminal's width, later ones indented.
std::string wrapped(std::string_view text, std::size_t columns) {
  std::string out, line;
  while (!text.empty()) {
    const std::size_t blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    if (!line.empty() && display_width(line) + 1 + display_width(word) > columns) {
      out += line + "\n";
      line = "  ";
    } else if (!line.empty()) {
      line += ' ';
    }
    line += word;
    text = blank == std::string_view::npos ? std::string_view() : text.substr(blank + 1);
  }
  return out + line + "\n";
}

std::string worst_line(const DiffReport& report) {
  const auto worst = std::ranges::max_element(report.sites, {}, [](const DiffSite& site) { return site.times; });
  if (worst == report.sites.end() || worst->worst_row < 0) return "";
  return fmt::format(
      "worst token: row {}, position {} of {}, most in element {}: relative {}; ulps of all elements there: "
      "median {}, most {}",
      worst->worst_row, worst->worst_position, worst->site, worst->error.worst_dimension,
      short_number(worst->error.worst_token_rel), worst->error.median_ulps, worst->error.max_ulps);
}

}  // namespace

std::string diff_picture(const DiffReport& report, const Terminal& terminal) {
  std::string out;
  const char* names[] = {"A", "B"};
  for (std::size_t i = 0; i < 2; ++i) {
    const DiffSide& side = report.sides[i];
    out += clipped_middle(fmt::format("{}  {} {} ({})", names[i], side.kind, visible(side.path), side.detail),
                          terminal.columns) +
           "\n";
  }
  out += "\n" + bold(wrapped(visible(report.sentence), terminal.columns), terminal.color);
  if (!report.sites.empty() && report.tokens > 0) {
    out += "\n" + Table(report, terminal).draw();
    if (const std::string worst = worst_line(report); !worst.empty()) out += wrapped(visible(worst), terminal.columns);
    out +=
        dim(wrapped(fmt::format("{} rows, {} tokens", report.rows, report.tokens), terminal.columns), terminal.color);
  }
  for (std::size_t i = 0; i < report.causes.size(); ++i) {
    const DiffCause& cause = report.causes[i];
    out += wrapped(visible(fmt::format("cause {}: {}: {}: {}", i + 1, cause.site, cause.kind, cause.evidence)),
                   terminal.columns);
  }
  for (const std::string& note : report.notes)
    out += dim(wrapped("note: " + visible(note), terminal.columns), terminal.color);
  return out;
}

}  // namespace layerscope
