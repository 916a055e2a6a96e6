#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "view/diff_view.h"
#include "view/display_text.h"
#include "view/plot_page.h"

namespace layerscope {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

std::string place(std::int64_t row, std::int64_t position) {
  return row < 0 ? "" : position < 0 ? fmt::format("row {}", row) : fmt::format("row {}, token {}", row, position);
}

std::vector<std::string> summary(const DiffReport& report) {
  std::vector<std::string> items;
  for (std::size_t side = 0; side < 2; ++side) {
    const DiffSide& one = report.sides[side];
    items.push_back(fmt::format("{}: {} {}{}", side == 0 ? 'A' : 'B', one.kind, visible(one.path),
                                one.detail.empty() ? "" : " (" + visible(one.detail) + ")"));
  }
  items.push_back(fmt::format("{} rows, {} tokens; token ids {}", report.rows, report.tokens,
                              report.ids_equal ? "equal" : "differ"));
  items.push_back(report.tolerance
                      ? fmt::format("limit: {} (--tol)", page_number(*report.tolerance))
                      : fmt::format("limit: {} times the noise floor of a site, {} times that of a token{}",
                                    page_number(report.times), page_number(report.token_times),
                                    report.noise_estimated ? "; the floor is estimated" : ""));
  for (const std::string& note : report.notes) items.push_back(visible(note));
  return items;
}

HtmlTable cause_table(const DiffReport& report) {
  HtmlTable table{.title = "Causes",
                  .columns = {"site", "kind", "evidence", "local error", "once undone"},
                  .rows = {},
                  .marked = {}};
  for (const DiffCause& cause : report.causes) {
    table.rows.push_back({visible(cause.site), cause.kind, visible(cause.evidence), page_number(cause.before),
                          page_number(cause.after)});
  }
  return table;
}

std::string short_name(const DiffSite& site) {
  return site.hf_index && !site.site.ends_with("embed") && !site.site.ends_with("final")
             ? std::to_string(*site.hf_index)
             : visible(site.site);
}

CurvePlot curves(const DiffReport& report, bool local) {
  CurvePlot plot{.title = local ? "Each block by itself, on the other side's input: relative difference (L2)"
                                : "Relative difference (L2) of every site, inherited error included",
                 .names = {},
                 .curves = {},
                 .logarithmic = true};
  Curve error{.name = "difference", .values = {}, .low = {}, .high = {}};
  Curve token{.name = "worst token", .values = {}, .low = {}, .high = {}};
  Curve floor{.name = "noise floor", .values = {}, .low = {}, .high = {}, .reference = true};
  for (const DiffSite& site : report.sites) {
    plot.names.push_back(short_name(site));
    error.values.push_back(local ? site.local.value_or(kNothing) : site.error.rel_l2);
    token.values.push_back(local ? (site.local ? site.local_token : kNothing) : site.error.worst_token_rel);
    floor.values.push_back(local ? site.local_noise.value_or(kNothing) : site.noise);
  }
  plot.curves = {std::move(error), std::move(token), std::move(floor)};
  return plot;
}

HtmlTable site_table(const DiffReport& report) {
  HtmlTable table{.title = "Sites",
                  .columns = {"site", "layer", "rel. L2", "noise", "times", "max abs", "mean abs", "cosine", "local",
                              "local noise", "local times", "worst token"},
                  .rows = {},
                  .marked = {}};
  for (const DiffSite& site : report.sites) {
    table.rows.push_back({visible(site.site), site.hf_index ? std::to_string(*site.hf_index) : "",
                          page_number(site.error.rel_l2), page_number(site.noise), page_number(site.times),
                          page_number(site.error.max_abs), page_number(site.error.mean_abs),
                          fmt::format("{:.7f}", site.error.cosine), site.local ? page_number(*site.local) : "",
                          site.local_noise ? page_number(*site.local_noise) : "",
                          site.local ? page_number(site.local_times) : "", place(site.worst_row, site.worst_position)});
    table.marked.push_back(site.differs || site.local_differs);
  }
  return table;
}

/// Colours of all heat maps: from the lowest floor to the largest error.
std::pair<double, double> error_range(const DiffReport& report) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const DiffSite& site : report.sites) {
    if (site.noise > 0) low = std::min(low, site.noise);
  }
  for (const DiffText& text : report.texts) {
    for (const std::vector<double>& errors : text.token_errors) {
      for (const double error : errors) {
        if (std::isfinite(error)) high = std::max(high, error);
      }
    }
  }
  if (!std::isfinite(low)) low = 1e-8;
  return {low, std::max(high, 10 * low)};
}

HeatMap token_map(const DiffReport& report, const DiffText& text, std::size_t stack, std::pair<double, double> range) {
  HeatMap map{.title = fmt::format(
                  "Row {}{}: relative error of every token, of each block by itself where that is known", text.row,
                  text.labels[1 - stack].empty() ? ""
                  : stack == 0                   ? ", encoder"
                                                 : ", decoder"),
              .corner = "token / layer",
              .rows = {},
              .columns = {},
              .values = {},
              .logarithmic = true,
              .low = range.first,
              .high = range.second,
              .numbers = false};
  const std::size_t tokens = text.labels[stack].size();
  std::vector<std::size_t> sites;
  for (std::size_t site = 0; site < report.sites.size() && site < text.token_errors.size(); ++site) {
    if (static_cast<std::size_t>(report.sites[site].stack) != stack || text.token_errors[site].size() != tokens)
      continue;
    sites.push_back(site);
    map.columns.push_back(short_name(report.sites[site]));
  }
  for (std::size_t token = 0; token < tokens; ++token) {
    map.rows.push_back(fmt::format("{} {}", token, visible(text.labels[stack][token])));
    for (const std::size_t site : sites) map.values.push_back(text.token_errors[site][token]);
  }
  return map;
}

}  // namespace

std::string diff_page(const DiffReport& report) {
  PlotPage page(visible(report.sentence));
  page.list(summary(report));
  if (!report.causes.empty()) page.table(cause_table(report));
  if (!report.sites.empty()) {
    page.plot(curves(report, false));
    if (std::ranges::any_of(report.sites, [](const DiffSite& site) { return site.local.has_value(); }))
      page.plot(curves(report, true));
    page.table(site_table(report));
  }
  const std::pair<double, double> range = error_range(report);
  for (const DiffText& text : report.texts) {
    for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
      if (text.labels[stack].empty()) continue;
      const HeatMap map = token_map(report, text, stack, range);
      if (!map.columns.empty()) page.heat_map(map);
    }
  }
  return page.finish();
}

}  // namespace layerscope
