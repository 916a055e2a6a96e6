#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/picture.h"
#include "view/similarity_view.h"

namespace layerscope {
namespace {

std::string heat_map(const SimilarityView& view, const std::vector<double>& values, const Terminal& terminal) {
  const std::vector<LayerFigures>& layers = view.report.layers;
  const std::size_t of_a = view.of_a();
  const std::size_t first = view.b.empty() ? 0 : of_a;
  Grid grid;
  grid.with_mean = false;
  grid.row_noun = "layer";
  for (std::size_t a = 0; a < of_a; ++a) {
    grid.rows.push_back(visible(layers[a].site.name));
    grid.numbers.push_back(layers[a].site.hf_index.value_or(static_cast<int>(a)));
    for (std::size_t b = first; b < layers.size(); ++b)
      grid.values.push_back(static_cast<float>(values[a * layers.size() + b]));
  }
  for (std::size_t b = first; b < layers.size(); ++b) {
    const StoredSite& site = layers[b].site;
    grid.columns.push_back(
        {visible(layer_name(site)), std::to_string(site.hf_index.value_or(static_cast<int>(b - first)))});
  }
  return draw(
      grid,
      {.columns = terminal.columns, .color = terminal.color, .measure = Measure::kDrift, .most_rows = std::nullopt});
}

std::string figure(double value, int digits) {
  return right_aligned(std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "·", 12);
}

std::string figures(const SimilarityView& view, bool of_b, const Terminal& terminal) {
  std::string out =
      fmt::format("{:<18}{:>12}{:>12}{:>12}{:>12}", "layer", "norm", "cos before", "eff. rank", "anisotropy");
  if (!view.b.empty()) out += fmt::format("{:>12}", of_b ? "cos to A" : "cos to B");
  out = dim(clipped(out, terminal.columns), terminal.color) + "\n";
  for (const LayerFigures& layer : view.report.layers) {
    if (layer.of_b != of_b) continue;
    std::string line = left_aligned(visible(layer.site.name), 18) + figure(layer.norm, 3) +
                       figure(layer.cosine_before, 3) + figure(layer.effective_rank, 1) + figure(layer.anisotropy, 3);
    if (!view.b.empty()) line += figure(layer.cosine_other, 3);
    out += clipped(line, terminal.columns) + "\n";
  }
  return out;
}

}  // namespace

std::size_t SimilarityView::of_a() const noexcept {
  return static_cast<std::size_t>(std::ranges::count(report.layers, false, &LayerFigures::of_b));
}

std::string layer_name(const StoredSite& site) {
  if (!site.hf_index) return site.name;
  if (site.name.ends_with("embed")) return "embed";
  return site.name.ends_with("final") ? "final" : std::to_string(*site.hf_index);
}

std::string similarity_title(const SimilarityView& view, std::string_view measure) {
  const bool ranks = measure.starts_with("RSA");
  return fmt::format("{} {}: {} vectors of {} {}", measure,
                     view.b.empty() ? "of every two layers" : "of A's layers (down) and B's (across)",
                     count_text(ranks ? view.report.ranked : view.report.vectors), count_text(view.report.rows),
                     view.report.rows == 1 ? "row" : "rows");
}

std::string similarity_picture(const SimilarityView& view, const Terminal& terminal) {
  std::string out;
  const auto heading = [&](const std::string& path, std::string_view side) {
    const std::string text = view.b.empty() ? path : fmt::format("{}  {}", side, path);
    out += bold(clipped_middle(visible(text), terminal.columns), terminal.color) + "\n";
  };
  heading(view.a, "A");
  if (!view.b.empty()) heading(view.b, "B");
  for (const auto& [name, values] :
       {std::pair{"linear CKA", &view.report.cka}, {"RSA (ranks of dissimilarities)", &view.report.rsa}}) {
    out += "\n" + clipped(similarity_title(view, name), terminal.columns) + "\n" + heat_map(view, *values, terminal);
  }
  for (const bool of_b : {false, true}) {
    if (of_b && view.b.empty()) break;
    out += view.b.empty() ? "\n" : of_b ? "\nB\n" : "\nA\n";
    out += figures(view, of_b, terminal);
  }
  return out;
}

}  // namespace layerscope
