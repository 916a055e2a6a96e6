#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "cli/display_text.h"
#include "cli/plot_page.h"
#include "cli/probe_view.h"

namespace layerscope::cli {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kMostClasses = 64;  // of a confusion that can be looked at

std::string short_name(const ProbeSite& site) {
  return site.hf_index && !site.name.ends_with("embed") && !site.name.ends_with("final")
             ? std::to_string(*site.hf_index)
             : visible(site.name);
}

Curve score_curve(std::string name, bool reference) {
  return {.name = std::move(name), .values = {}, .low = {}, .high = {}, .reference = reference};
}

void append_score(Curve& curve, const ProbeScore& score) {
  curve.values.push_back(score.score);
  curve.low.push_back(score.low);
  curve.high.push_back(score.high);
}

CurvePlot score_plot(const ProbeReport& report) {
  CurvePlot plot{
      .title = fmt::format("{} by layer, with its interval", metric_name(report.metric)), .names = {}, .curves = {}};
  Curve probe = score_curve("probe", false), control = score_curve("control task", true),
        baseline = score_curve("most frequent label", true);
  for (const SiteProbe& layer : report.layers) {
    plot.names.push_back(short_name(layer.site));
    append_score(probe, layer.probe.score);
    append_score(baseline, report.baseline);
    if (layer.probe.control) append_score(control, *layer.probe.control);
  }
  const bool controlled = !control.values.empty() && control.values.size() == probe.values.size();
  plot.curves.push_back(std::move(probe));
  if (controlled) plot.curves.push_back(std::move(control));
  plot.curves.push_back(std::move(baseline));
  return plot;
}

/// Description lengths in bits a sample; no curve where there is none.
CurvePlot length_plot(const ProbeReport& report) {
  CurvePlot plot{.title = "description length by layer, bits a label (online coding)", .names = {}, .curves = {}};
  Curve bits = score_curve("with the layer", false), uniform = score_curve("without", true);
  const auto samples = static_cast<double>(std::max<std::int64_t>(1, report.samples));
  for (const SiteProbe& layer : report.layers) {
    plot.names.push_back(short_name(layer.site));
    if (!layer.probe.length) return plot;
    bits.values.push_back(layer.probe.length->bits / samples);
    uniform.values.push_back(layer.probe.length->uniform_bits / samples);
  }
  plot.curves = {std::move(bits), std::move(uniform)};
  return plot;
}

CurvePlot mix_plot(const ProbeReport& report) {
  CurvePlot plot{.title = "weight of each layer in a learned mix", .names = {}, .curves = {}};
  for (const SiteProbe& layer : report.layers) plot.names.push_back(short_name(layer.site));
  Curve weights = score_curve("weight", false);
  weights.values = report.mix->weights;
  weights.values.resize(plot.names.size(), kNothing);
  plot.curves.push_back(std::move(weights));
  return plot;
}

HtmlTable score_table(const ProbeReport& report) {
  HtmlTable table{.title = "Numbers",
                  .columns = {"layer", "score", "low", "high", "control", "selectivity", "description length, bits"},
                  .rows = {},
                  .marked = {}};
  for (const SiteProbe& layer : report.layers) {
    const LayerProbe& probe = layer.probe;
    table.rows.push_back({visible(layer.site.name), page_number(probe.score.score), page_number(probe.score.low),
                          page_number(probe.score.high), probe.control ? page_number(probe.control->score) : "",
                          probe.selectivity ? page_number(*probe.selectivity) : "",
                          probe.length ? fmt::format("{:.0f}", probe.length->bits) : ""});
  }
  return table;
}

/// Shares of each class's samples at the best layer.
HeatMap confusion_map(const ProbeReport& report) {
  const SiteProbe& best = report.layers[report.best];
  const std::size_t classes = report.class_names.size();
  HeatMap map{.title = "What is taken for what at " + visible(best.site.name) + ", as shares of each class",
              .corner = "is / taken for",
              .rows = {},
              .columns = {},
              .values = {}};
  for (std::size_t is = 0; is < classes; ++is) {
    map.rows.push_back(visible(report.class_names[is]));
    map.columns.push_back(visible(report.class_names[is]));
    const auto first = best.probe.confusion.begin() + static_cast<std::ptrdiff_t>(is * classes);
    double sum = 0;
    for (std::size_t as = 0; as < classes; ++as) sum += static_cast<double>(first[static_cast<std::ptrdiff_t>(as)]);
    for (std::size_t as = 0; as < classes; ++as)
      map.values.push_back(sum > 0 ? static_cast<double>(first[static_cast<std::ptrdiff_t>(as)]) / sum : kNothing);
  }
  return map;
}

}  // namespace

std::string probe_page(const ProbeView& view) {
  const ProbeReport& report = view.report;
  PlotPage page("What each layer of " + visible(view.source) + " knows");
  std::vector<std::string> facts{fmt::format("{} labels of {} rows in {} groups; {} folds, seed {}", report.samples,
                                             report.rows, report.groups, view.folds, view.seed),
                                 fmt::format("always saying what is most frequent: {} {}", metric_name(report.metric),
                                             page_number(report.baseline.score))};
  if (!report.layers.empty()) facts.push_back("best: " + visible(report.layers[report.best].site.name));
  page.list(facts);
  page.plot(score_plot(report));
  if (const CurvePlot lengths = length_plot(report); !lengths.curves.empty()) page.plot(lengths);
  if (report.mix) page.plot(mix_plot(report));
  page.table(score_table(report));
  const std::size_t classes = report.class_names.size();
  if (!report.layers.empty() && classes > 0 && classes <= kMostClasses &&
      report.layers[report.best].probe.confusion.size() == classes * classes)
    page.heat_map(confusion_map(report));
  return page.finish();
}

}  // namespace layerscope::cli
