#include "view/plot_page.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "view/page_assets.h"

namespace layerscope {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kHostile = "</script><img src=x onerror='alert(1)'>&\"";

/// The JSON of the page's only plot.
Json plot_of(PlotPage& page, const CurvePlot& plot) {
  page.plot(plot);
  const std::string text = page.finish();
  const std::string begin = "<script type=\"application/json\">";
  const std::size_t first = text.find(begin) + begin.size();
  const std::string json = text.substr(first, text.find("</script>", first) - first);
  return parse_json(json, "plot", ErrorCode::kRuntime).value();
}

TEST(PlotPage, EscapesEverythingThatComesFromOutside) {
  PlotPage page(kHostile);
  page.heading(kHostile);
  page.paragraph(kHostile);
  page.list({std::string(kHostile)});
  page.table({.title = std::string(kHostile),
              .columns = {std::string(kHostile)},
              .rows = {{std::string(kHostile)}},
              .marked = {}});
  page.heat_map({.title = std::string(kHostile),
                 .corner = std::string(kHostile),
                 .rows = {std::string(kHostile)},
                 .columns = {std::string(kHostile)},
                 .values = {0.5}});
  const CurvePlot plot{.title = std::string(kHostile),
                       .names = {std::string(kHostile)},
                       .curves = {{.name = std::string(kHostile), .values = {1}, .low = {}, .high = {}}}};
  page.plot(plot);
  const std::string text = page.finish();
  EXPECT_THAT(text, Not(HasSubstr("<img")));
  EXPECT_THAT(text, HasSubstr("&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;"));
  PlotPage other("plot");
  const Json json = plot_of(other, plot);
  EXPECT_EQ(*json.find("names")->array()->front().string(), kHostile);
  EXPECT_EQ(*json.find("curves")->array()->front().find("name")->string(), kHostile);
}

TEST(PlotPage, LeavesGapsWhereThereIsNoNumber) {
  const CurvePlot plot{.title = "t",
                       .names = {"a", "b", "c", "d"},
                       .curves = {{.name = "error",
                                   .values = {0, 1e-3, kNothing, HUGE_VAL},
                                   .low = {0, 5e-4, 0, 0},
                                   .high = {1, 1, 1, 1}},
                                  {.name = "floor", .values = {1, 1, 1, 1}, .low = {}, .high = {}, .reference = true}},
                       .logarithmic = true};
  PlotPage page("t");
  const Json json = plot_of(page, plot);
  const Json& error = json.find("curves")->array()->front();
  EXPECT_EQ(error.find("values")->dump(), "[null,0.001,null,null]");
  EXPECT_EQ(error.find("low")->dump(), "[null,5e-04,null,null]");
  EXPECT_FALSE(*error.find("dashed")->boolean());
  EXPECT_TRUE(*json.find("curves")->array()->back().find("dashed")->boolean());
  EXPECT_TRUE(*json.find("logarithmic")->boolean());
}

TEST(PlotPage, NothingAboveZeroHasNoLogarithmicScale) {
  PlotPage page("t");
  const Json json = plot_of(page, {.title = "t",
                                   .names = {"a"},
                                   .curves = {{.name = "error", .values = {0}, .low = {}, .high = {}}},
                                   .logarithmic = true});
  EXPECT_FALSE(*json.find("logarithmic")->boolean());
  EXPECT_EQ(json.find("curves")->array()->front().find("values")->dump(), "[0]");
}

TEST(PlotPage, ColoursStandForTheirValues) {
  PlotPage page("t");
  page.heat_map(
      {.title = "t", .corner = "", .rows = {"r"}, .columns = {"a", "b", "c", "d"}, .values = {0, 1, kNothing, 7}});
  const std::string text = page.finish();
  EXPECT_THAT(text, HasSubstr("<td style=\"background:#440154\" title=\"0\">0.00</td>"));
  EXPECT_THAT(text, HasSubstr("<td style=\"background:#fde725\" class=\"k\" title=\"1\">1.00</td><td></td>"));
  PlotPage other("t");
  other.heat_map({.title = "t",
                  .corner = "",
                  .rows = {"r"},
                  .columns = {"a", "b", "c"},
                  .values = {0, 1e-4, HUGE_VAL},
                  .logarithmic = true,
                  .low = 1e-8,
                  .high = 1,
                  .numbers = false});
  const std::string logarithmic = other.finish();
  EXPECT_THAT(logarithmic, HasSubstr("background:#440154\" title=\"0\">&nbsp;"));
  EXPECT_THAT(logarithmic, HasSubstr("background:#21918c\" title=\"1.00e-04\""));
  EXPECT_THAT(logarithmic, HasSubstr("background:#fde725\" class=\"k\" title=\"∞\""));
}

TEST(PlotPage, HoldsTheLibraryAndNamesItsHash) {
  const std::string text = PlotPage("t").finish();
  EXPECT_THAT(text,
              HasSubstr("script-src '" + std::string(kPlotLibraryHash) + "' '" + std::string(kPlotScriptHash) + "'"));
  EXPECT_THAT(std::string(kPlotLibrary), HasSubstr("Dygraph"));
  EXPECT_EQ(kPlotLibraryHash.size(), 7U + 44U);
  EXPECT_THAT(text, HasSubstr("<script>" + std::string(kPlotScript) + "</script>"));
}

TEST(PlotPage, NumbersAreShort) {
  EXPECT_EQ(page_number(0), "0");
  EXPECT_EQ(page_number(0.97312), "0.9731");
  EXPECT_EQ(page_number(1.2e-7), "1.20e-07");
  EXPECT_EQ(page_number(kNothing), "");
}

}  // namespace
}  // namespace layerscope
