#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/probe_view.h"

namespace layerscope {
namespace {

constexpr std::size_t kLongestName = 18;
constexpr std::size_t kNarrowestCurve = 24, kWidestCurve = 60;
constexpr std::size_t kMostConfused = 5;

/// Behind a layer's curve; those that do not fit are left out from the last.
struct NumberColumn {
  std::string title;
  std::vector<std::string> cells;
  [[nodiscard]] std::size_t width() const {
    std::size_t widest = display_width(title);
    for (const std::string& cell : cells) widest = std::max(widest, display_width(cell));
    return widest;
  }
};

class ProbeDrawing {
 public:
  ProbeDrawing(const ProbeView& view, const Terminal& terminal) : report_(view.report), terminal_(terminal) {
    lowest_ = highest_ = report_.baseline.score;
    for (const SiteProbe& layer : report_.layers) {
      const LayerProbe& probe = layer.probe;
      take(probe.score.low);
      take(probe.score.high);
      if (probe.control) take(probe.control->score);
      name_ = std::max(name_, std::min(kLongestName, display_width(visible(layer.site.name))));
    }
    if (highest_ <= lowest_) highest_ = lowest_ + 1;
  }

  std::string draw() {
    std::vector<NumberColumn> columns = number_columns();
    const std::size_t before = name_ + 1;
    const auto taken = [&] {
      std::size_t sum = before + 1;
      for (const NumberColumn& column : columns) sum += column.width() + 2;
      return sum;
    };
    while (columns.size() > 1 && taken() + kNarrowestCurve > terminal_.columns) columns.pop_back();
    const std::size_t room = terminal_.columns > taken() + 1 ? terminal_.columns - taken() : 1;
    curve_ = std::min(room, kWidestCurve);
    std::string out = heading(columns);
    for (std::size_t k = 0; k < report_.layers.size(); ++k) {
      const std::string name = visible(report_.layers[k].site.name);
      std::string line = left_aligned(clipped_middle(name, name_), name_) + " " + curve(report_.layers[k].probe);
      for (const NumberColumn& column : columns) line += "  " + right_aligned(column.cells[k], column.width());
      out += k == report_.best ? bold(line, terminal_.color) : line;
      out += "\n";
    }
    return out;
  }

 private:
  void take(double value) {
    lowest_ = std::min(lowest_, value);
    highest_ = std::max(highest_, value);
  }
  [[nodiscard]] std::size_t at(double value) const {
    const double share = std::clamp((value - lowest_) / (highest_ - lowest_), 0.0, 1.0);
    return static_cast<std::size_t>(std::lround(share * static_cast<double>(curve_ - 1)));
  }

  std::vector<NumberColumn> number_columns() const {
    NumberColumn score{std::string(metric_name(report_.metric)), {}}, interval{"95 %", {}},
        selectivity{"selectivity", {}}, code{"bits/label", {}}, weight{"weight", {}};
    bool any_selectivity = false, any_code = false;
    for (std::size_t k = 0; k < report_.layers.size(); ++k) {
      const LayerProbe& probe = report_.layers[k].probe;
      score.cells.push_back(fmt::format("{:.3f}", probe.score.score));
      interval.cells.push_back(fmt::format("{:.3f}..{:.3f}", probe.score.low, probe.score.high));
      any_selectivity |= probe.selectivity.has_value();
      selectivity.cells.push_back(probe.selectivity ? fmt::format("{:.3f}", *probe.selectivity) : "");
      any_code |= probe.length.has_value();
      code.cells.push_back(
          probe.length ? fmt::format("{:.3f}", probe.length->bits / static_cast<double>(report_.samples)) : "");
      if (report_.mix) weight.cells.push_back(fmt::format("{:.3f}", report_.mix->weights[k]));
    }
    std::vector<NumberColumn> columns{std::move(score)};
    if (any_selectivity) columns.push_back(std::move(selectivity));
    if (any_code) columns.push_back(std::move(code));
    if (report_.mix) columns.push_back(std::move(weight));
    columns.push_back(std::move(interval));
    return columns;
  }

  std::string heading(const std::vector<NumberColumn>& columns) const {
    const std::string low = fmt::format("{:.2f}", lowest_), high = fmt::format("{:.2f}", highest_);
    std::string scale = low;
    scale.resize(std::max(curve_, low.size() + high.size() + 1) - high.size(), ' ');
    std::string line = std::string(name_ + 1, ' ') + left_aligned(scale + high, curve_);
    for (const NumberColumn& column : columns) line += "  " + right_aligned(column.title, column.width());
    return dim(line, terminal_.color) + "\n";
  }

  std::string curve(const LayerProbe& probe) const {
    std::vector<std::string_view> cells(curve_, " ");
    cells[at(report_.baseline.score)] = "┊";
    for (std::size_t k = at(probe.score.low); k <= at(probe.score.high); ++k) cells[k] = "─";
    if (probe.control) cells[at(probe.control->score)] = "○";
    cells[at(probe.score.score)] = "●";
    std::string out;
    for (const std::string_view cell : cells) out += cell;
    return out;
  }

  const ProbeReport& report_;
  const Terminal& terminal_;
  double lowest_ = 0, highest_ = 1;
  std::size_t name_ = 5, curve_ = 1;
};

/// "NOUN taken for PROPN 31, ...": what the best layer's probe confuses most.
std::string confused(const ProbeReport& report) {
  const SiteProbe& best = report.layers[report.best];
  const std::size_t classes = report.class_names.size();
  std::vector<std::size_t> cells;
  for (std::size_t cell = 0; cell < best.probe.confusion.size(); ++cell) {
    if (cell / classes != cell % classes && best.probe.confusion[cell] > 0) cells.push_back(cell);
  }
  std::ranges::stable_sort(cells, std::greater<>(), [&](std::size_t cell) { return best.probe.confusion[cell]; });
  cells.resize(std::min(cells.size(), kMostConfused));
  std::string out;
  for (const std::size_t cell : cells) {
    out += fmt::format("{}{} for {} {}", out.empty() ? "" : ", ", visible(report.class_names[cell % classes]),
                       visible(report.class_names[cell / classes]), count_text(best.probe.confusion[cell]));
  }
  return out;
}

}  // namespace

std::string probe_summary(const ProbeView& view) {
  const ProbeReport& report = view.report;
  std::string out = fmt::format("{} samples of {} rows", count_text(report.samples), count_text(report.rows));
  if (report.groups != report.rows) out += fmt::format(" in {} groups", count_text(report.groups));
  if (report.kind == ProbeKind::kClassify) out += fmt::format(", {} classes", report.class_names.size());
  return out + fmt::format(", {} folds", view.folds);
}

std::string probe_picture(const ProbeView& view, const Terminal& terminal) {
  const ProbeReport& report = view.report;
  const auto line = [&](const std::string& text) { return clipped(text, terminal.columns) + "\n"; };
  std::string out = bold(clipped_middle(visible(view.source), terminal.columns), terminal.color) + "\n";
  const bool controlled = report.layers.front().probe.control.has_value();
  out += line(probe_summary(view));
  out += line(fmt::format("● {} on held-out rows  ─ its 95 % interval{}  ┊ {} {:.3f}", metric_name(report.metric),
                          controlled ? "  ○ control task" : "",
                          report.kind == ProbeKind::kClassify ? "most frequent class" : "mean", report.baseline.score));
  out += "\n" + ProbeDrawing(view, terminal).draw() + "\n";
  const SiteProbe& best = report.layers[report.best];
  out += line(fmt::format("best: {} with {} {:.3f}", visible(best.site.name), metric_name(report.metric),
                          best.probe.score.score));
  if (report.mix) {
    out += line(fmt::format("a learned mix of all layers: {} {:.3f} on the first fold", metric_name(report.metric),
                            report.mix->score.score));
  }
  if (const std::string often = confused(report); !often.empty()) out += line("takes most often: " + often);
  return out;
}

}  // namespace layerscope
