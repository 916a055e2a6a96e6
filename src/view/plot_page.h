// A self-contained page with curves, heat maps and tables: one file that needs no network and no other file.
//
// Everything that comes from outside is escaped, and the page's Content-Security-Policy lets nothing run but the two
// scripts that stand in it, named by their hashes, and nothing be fetched. The curves are drawn by dygraphs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace layerscope {

/// Text that a browser shows as it is, in elements and in quoted attributes.
[[nodiscard]] std::string html_escaped(std::string_view text);

/// Values by layer; NaN and infinity leave a gap, and so does what is not above 0 where the scale is logarithmic.
struct Curve {
  std::string name;
  std::vector<double> values;
  std::vector<double> low, high;  ///< intervals around the values, or both empty
  bool reference = false;         ///< drawn grey and dashed: a floor, a baseline, a control
};

struct CurvePlot {
  std::string title;
  std::vector<std::string> names;  ///< of the layers, on the axis below
  std::vector<Curve> curves;       ///< of different names, as many values each as there are layers
  bool logarithmic = false;
};

struct HeatMap {
  std::string title;
  std::string corner;  ///< what the rows and columns are: "token / layer"
  std::vector<std::string> rows, columns;
  std::vector<double> values;  ///< [rows, columns]; NaN: nothing there
  bool logarithmic = false;
  double low = 0, high = 1;  ///< the ends of the colours
  bool numbers = true;       ///< in the cells, not only on pointing at them
};

struct HtmlTable {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
  std::vector<bool> marked;  ///< rows that stand out; empty: none
};

class PlotPage {
 public:
  explicit PlotPage(std::string_view title);
  void heading(std::string_view text);
  void paragraph(std::string_view text);
  void list(const std::vector<std::string>& items);
  void plot(const CurvePlot& plot);
  void heat_map(const HeatMap& map);
  void table(const HtmlTable& table);
  /// The whole page. The last call.
  [[nodiscard]] std::string finish();

 private:
  std::string out_;
};

/// At most five digits: "0.9731", "1.2e-07"; empty for NaN.
[[nodiscard]] std::string page_number(double value);

}  // namespace layerscope
