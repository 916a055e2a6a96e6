#include "view/plot_page.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "view/color_ramp.h"
#include "view/page_assets.h"

namespace layerscope {
namespace {

// Okabe and Ito's colours, which the colour-blind tell apart.
constexpr std::array<std::string_view, 6> kColors{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

/// A JSON text that may stand inside a script element.
std::string inside_script(const std::string& json) {
  std::string out;
  for (const char letter : json) {
    if (letter == '<')
      out += "\\u003c";
    else
      out += letter;
  }
  return out;
}

void append_values(std::string& out, std::string_view name, const std::vector<double>& values, bool logarithmic) {
  out += fmt::format(",\"{}\":[", name);
  for (const double value : values) {
    if (out.back() != '[') out += ',';
    if (std::isfinite(value) && (!logarithmic || value > 0))
      append_json_number(out, value);
    else
      out += "null";
  }
  out += ']';
}

/// A logarithmic scale needs something that is above 0.
bool drawn_logarithmic(const CurvePlot& plot) {
  return plot.logarithmic && std::ranges::any_of(plot.curves, [](const Curve& curve) {
           return std::ranges::any_of(curve.values, [](double value) { return std::isfinite(value) && value > 0; });
         });
}

std::string plot_json(const CurvePlot& plot) {
  const bool logarithmic = drawn_logarithmic(plot);
  std::string out = fmt::format("{{\"logarithmic\":{},\"names\":[", logarithmic);
  for (const std::string& name : plot.names) {
    if (out.back() != '[') out += ',';
    append_json_string(out, name);
  }
  out += "],\"curves\":[";
  std::size_t colored = 0;
  for (const Curve& curve : plot.curves) {
    if (out.back() != '[') out += ',';
    out += "{\"name\":";
    append_json_string(out, curve.name);
    const std::string_view color = curve.reference ? "#888888" : kColors[colored++ % kColors.size()];
    out += fmt::format(",\"color\":\"{}\",\"dashed\":{}", color, curve.reference);
    append_values(out, "values", curve.values, logarithmic);
    if (!curve.low.empty()) {
      append_values(out, "low", curve.low, logarithmic);
      append_values(out, "high", curve.high, logarithmic);
    }
    out += '}';
  }
  return out + "]}";
}

double ramp_position(const HeatMap& map, double value) {
  if (!map.logarithmic) return map.high > map.low ? (value - map.low) / (map.high - map.low) : 0.5;
  if (!(value > map.low) || !(map.low > 0)) return 0;
  return map.high > map.low ? std::log(value / map.low) / std::log(map.high / map.low) : 1;
}

std::string title_row(const std::vector<std::string>& names, std::string_view corner) {
  std::string out = "<thead><tr><th>" + html_escaped(corner) + "</th>";
  for (const std::string& name : names) out += "<th>" + html_escaped(name) + "</th>";
  return out + "</tr></thead>\n<tbody>\n";
}

}  // namespace

std::string html_escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += letter; break;
    }
  }
  return out;
}

std::string page_number(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "" : "∞";
  const double size = std::abs(value);
  return size != 0 && (size < 1e-3 || size >= 1e5) ? fmt::format("{:.2e}", value) : fmt::format("{:.4g}", value);
}

PlotPage::PlotPage(std::string_view title) {
  const std::string shown = html_escaped(title);
  out_ = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src '{}' '{}'; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n"
      "<title>{}</title>\n<style>{}</style>\n<style>{}</style>\n</head><body>\n<h1>{}</h1>\n",
      kPlotLibraryHash, kPlotScriptHash, shown, kPlotLibraryStyle, kPageStyle, shown);
}

void PlotPage::heading(std::string_view text) { out_ += "<h2>" + html_escaped(text) + "</h2>\n"; }

void PlotPage::paragraph(std::string_view text) { out_ += "<p>" + html_escaped(text) + "</p>\n"; }

void PlotPage::list(const std::vector<std::string>& items) {
  out_ += "<ul>\n";
  for (const std::string& item : items) out_ += "<li>" + html_escaped(item) + "</li>\n";
  out_ += "</ul>\n";
}

void PlotPage::plot(const CurvePlot& plot) {
  heading(plot.title);
  out_ += "<figure><script type=\"application/json\">" + inside_script(plot_json(plot)) + "</script></figure>\n";
}

void PlotPage::heat_map(const HeatMap& map) {
  heading(map.title);
  out_ += "<div class=\"scroll\"><table class=\"heat\">\n" + title_row(map.columns, map.corner);
  for (std::size_t row = 0; row < map.rows.size(); ++row) {
    out_ += "<tr><th>" + html_escaped(map.rows[row]) + "</th>";
    for (std::size_t column = 0; column < map.columns.size(); ++column) {
      const double value = map.values[row * map.columns.size() + column];
      if (std::isnan(value)) {
        out_ += "<td></td>";
        continue;
      }
      const RampColor color = ramp_color(ramp_position(map, value));
      out_ += fmt::format("<td style=\"background:#{:02x}{:02x}{:02x}\"{} title=\"{}\">{}</td>", color.red, color.green,
                          color.blue, color.black_text ? " class=\"k\"" : "", page_number(value),
                          map.numbers ? fmt::format("{:.2f}", value) : "&nbsp;");
    }
    out_ += "</tr>\n";
  }
  out_ += "</tbody></table></div>\n";
}

void PlotPage::table(const HtmlTable& table) {
  heading(table.title);
  const std::vector<std::string> others(table.columns.begin() + 1, table.columns.end());
  out_ += "<div class=\"scroll\"><table>\n" + title_row(others, table.columns.front());
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    out_ += row < table.marked.size() && table.marked[row] ? "<tr class=\"off\">" : "<tr>";
    for (std::size_t cell = 0; cell < table.rows[row].size(); ++cell) {
      const std::string_view name = cell == 0 ? "th" : "td";
      out_ += fmt::format("<{0}>{1}</{0}>", name, html_escaped(table.rows[row][cell]));
    }
    out_ += "</tr>\n";
  }
  out_ += "</tbody></table></div>\n";
}

std::string PlotPage::finish() {
  out_ += fmt::format("<script>{}</script>\n<script>{}</script>\n</body></html>\n", kPlotLibrary, kPlotScript);
  return std::move(out_);
}

}  // namespace layerscope
