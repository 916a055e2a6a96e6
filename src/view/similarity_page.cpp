#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "view/display_text.h"
#include "view/plot_page.h"
#include "view/similarity_view.h"

namespace layerscope {
namespace {

struct Figure {
  std::string_view name;
  double LayerFigures::*value;
};
constexpr Figure kFigures[] = {{"mean norm", &LayerFigures::norm},
                               {"cosine to the layer before", &LayerFigures::cosine_before},
                               {"cosine to the other side", &LayerFigures::cosine_other},
                               {"effective rank", &LayerFigures::effective_rank},
                               {"anisotropy", &LayerFigures::anisotropy}};

std::vector<const LayerFigures*> side(const SimilarityView& view, bool of_b) {
  std::vector<const LayerFigures*> out;
  for (const LayerFigures& layer : view.report.layers) {
    if (layer.of_b == of_b) out.push_back(&layer);
  }
  return out;
}

HeatMap heat_map(const SimilarityView& view, std::string_view measure, const std::vector<double>& values) {
  const std::vector<LayerFigures>& layers = view.report.layers;
  const std::size_t of_a = view.of_a(), first = view.b.empty() ? 0 : of_a;
  HeatMap map{.title = similarity_title(view, measure),
              .corner = view.b.empty() ? "layer" : "A / B",
              .rows = {},
              .columns = {},
              .values = {}};
  for (std::size_t a = 0; a < of_a; ++a) {
    map.rows.push_back(visible(layers[a].site.name));
    for (std::size_t b = first; b < layers.size(); ++b) map.values.push_back(values[a * layers.size() + b]);
  }
  for (std::size_t b = first; b < layers.size(); ++b) map.columns.push_back(visible(layer_name(layers[b].site)));
  map.low = 1;
  for (const double value : map.values) map.low = std::isnan(value) ? map.low : std::min(map.low, value);
  return map;
}

/// Curves by layer: those of B stand over those of A by their place.
CurvePlot figure_plot(const SimilarityView& view, const Figure& figure) {
  CurvePlot plot{.title = std::string(figure.name), .names = {}, .curves = {}};
  const std::vector<const LayerFigures*> a = side(view, false), b = side(view, true);
  const std::vector<const LayerFigures*>& longer = b.size() > a.size() ? b : a;
  for (const LayerFigures* layer : longer) plot.names.push_back(visible(layer_name(layer->site)));
  for (const auto* layers : {&a, &b}) {
    if (layers->empty()) continue;
    Curve curve{.name = layers == &a ? "A" : "B", .values = {}, .low = {}, .high = {}};
    for (const LayerFigures* layer : *layers) curve.values.push_back(layer->*figure.value);
    curve.values.resize(longer.size(), std::nan(""));
    plot.curves.push_back(std::move(curve));
    if (figure.value == &LayerFigures::cosine_other) break;  // one cosine a pair
  }
  return plot;
}

HtmlTable figure_table(const SimilarityView& view, bool of_b) {
  HtmlTable table{.title = view.b.empty() ? "Numbers"
                           : of_b         ? "B"
                                          : "A",
                  .columns = {"layer", "width"},
                  .rows = {},
                  .marked = {}};
  for (const Figure& figure : kFigures) {
    if (figure.value != &LayerFigures::cosine_other || !view.b.empty()) table.columns.emplace_back(figure.name);
  }
  for (const LayerFigures* layer : side(view, of_b)) {
    std::vector<std::string> row{visible(layer->site.name), std::to_string(layer->site.width)};
    for (const Figure& figure : kFigures) {
      if (figure.value != &LayerFigures::cosine_other || !view.b.empty())
        row.push_back(page_number(layer->*figure.value));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string similarity_page(const SimilarityView& view) {
  PlotPage page("Similarity of layers: " + visible(view.a) + (view.b.empty() ? "" : " and " + visible(view.b)));
  if (!view.b.empty()) page.paragraph(fmt::format("A is {}, B is {}.", visible(view.a), visible(view.b)));
  page.heat_map(heat_map(view, "linear CKA", view.report.cka));
  page.heat_map(heat_map(view, "RSA (ranks of dissimilarities)", view.report.rsa));
  for (const Figure& figure : kFigures) {
    if (figure.value != &LayerFigures::cosine_other || !view.b.empty()) page.plot(figure_plot(view, figure));
  }
  page.table(figure_table(view, false));
  if (!view.b.empty()) page.table(figure_table(view, true));
  return page.finish();
}

}  // namespace layerscope
