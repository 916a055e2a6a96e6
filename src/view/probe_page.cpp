#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "view/display_text.h"
#include "view/plot_page.h"
#include "view/probe_view.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostShownClasses = 64;  // of the confusion: a larger one is for --json

void add_score(Curve& curve, const ProbeScore& score) {
  curve.values.push_back(score.score);
  curve.low.push_back(score.low);
  curve.high.push_back(score.high);
}

CurvePlot score_plot(const ProbeReport& report) {
  CurvePlot plot{.title = fmt::format("{} on held-out rows, with 95 % intervals", metric_name(report.metric)),
                 .names = {},
                 .curves = {}};
  Curve score{.name = std::string(metric_name(report.metric)), .values = {}, .low = {}, .high = {}};
  Curve control{.name = "control task", .values = {}, .low = {}, .high = {}, .reference = true};
  Curve baseline{.name = report.kind == ProbeKind::kClassify ? "most frequent class" : "mean",
                 .values = {},
                 .low = {},
                 .high = {},
                 .reference = true};
  for (const SiteProbe& layer : report.layers) {
    plot.names.push_back(visible(layer.site.name));
    add_score(score, layer.probe.score);
    if (layer.probe.control) add_score(control, *layer.probe.control);
    add_score(baseline, report.baseline);
  }
  plot.curves.push_back(std::move(score));
  if (control.values.size() == report.layers.size()) plot.curves.push_back(std::move(control));
  plot.curves.push_back(std::move(baseline));
  return plot;
}

/// Curves of one number a layer; none where a layer lacks it.
void add_plot(PlotPage& page, const ProbeReport& report, const std::string& title,
              const std::function<double(std::size_t layer)>& value) {
  CurvePlot plot{.title = title, .names = {}, .curves = {}};
  Curve curve{.name = title, .values = {}, .low = {}, .high = {}};
  for (std::size_t k = 0; k < report.layers.size(); ++k) {
    plot.names.push_back(visible(report.layers[k].site.name));
    curve.values.push_back(value(k));
    if (std::isnan(curve.values.back())) return;
  }
  plot.curves.push_back(std::move(curve));
  page.plot(plot);
}

HeatMap confusion_map(const ProbeReport& report) {
  const SiteProbe& best = report.layers[report.best];
  HeatMap map{.title = fmt::format("What the probe of {} takes each class for, as a share of its samples",
                                   visible(best.site.name)),
              .corner = "is / taken for",
              .rows = {},
              .columns = {},
              .values = {}};
  const std::size_t classes = report.class_names.size();
  for (std::size_t row = 0; row < classes; ++row) {
    map.rows.push_back(visible(report.class_names[row]));
    map.columns.push_back(visible(report.class_names[row]));
    for (std::size_t column = 0; column < classes; ++column) {
      map.values.push_back(static_cast<double>(best.probe.confusion[row * classes + column]) /
                           static_cast<double>(report.class_samples[row]));
    }
  }
  return map;
}

HtmlTable number_table(const ProbeReport& report) {
  HtmlTable table{.title = "Numbers",
                  .columns = {"layer", std::string(metric_name(report.metric)), "low", "high", "control", "selectivity",
                              "code in bits", "weight in the mix"},
                  .rows = {},
                  .marked = {}};
  for (std::size_t k = 0; k < report.layers.size(); ++k) {
    const LayerProbe& probe = report.layers[k].probe;
    table.rows.push_back(
        {visible(report.layers[k].site.name), page_number(probe.score.score), page_number(probe.score.low),
         page_number(probe.score.high), probe.control ? page_number(probe.control->score) : "",
         probe.selectivity ? page_number(*probe.selectivity) : "", probe.length ? page_number(probe.length->bits) : "",
         report.mix ? page_number(report.mix->weights[k]) : ""});
    table.marked.push_back(k == report.best);
  }
  return table;
}

}  // namespace

std::string probe_page(const ProbeView& view) {
  const ProbeReport& report = view.report;
  PlotPage page("What the layers of " + visible(view.source) + " know");
  page.paragraph(probe_summary(view) + ".");
  page.plot(score_plot(report));
  const double none = std::nan("");
  add_plot(page, report, "selectivity: score above the control task's",
           [&](std::size_t k) { return report.layers[k].probe.selectivity.value_or(none); });
  add_plot(page, report, "code length, bits a label", [&](std::size_t k) {
    const std::optional<DescriptionLength>& length = report.layers[k].probe.length;
    return length ? length->bits / static_cast<double>(report.samples) : none;
  });
  add_plot(page, report, "weight in a learned mix of the layers",
           [&](std::size_t k) { return report.mix ? report.mix->weights[k] : none; });
  const bool confusion = !report.class_names.empty() && report.class_names.size() <= kMostShownClasses;
  if (confusion) page.heat_map(confusion_map(report));
  page.table(number_table(report));
  return page.finish();
}

}  // namespace layerscope
