// A grid of numbers, tokens down and layers across, as coloured text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "view/terminal.h"

namespace layerscope {

/// What the picture shows of a state.
enum class Measure : std::uint8_t {
  kNorm,   ///< Euclidean norm
  kStep,   ///< cosine to the layer before
  kDrift,  ///< cosine to the first layer shown, the embedding unless --layers says otherwise
};

/// A column's name where there is room for it, and where there is not.
struct ColumnLabel {
  std::string full, brief;
};

/// What is drawn. Labels are visible text (display_text.h).
struct Grid {
  std::vector<std::string> rows;      ///< labels, a token or a text each
  std::vector<std::int64_t> numbers;  ///< printed before the labels, one a row
  std::vector<ColumnLabel> columns;
  std::vector<float> values;       ///< [rows, columns]; NaN where there is nothing to show
  std::string row_noun = "token";  ///< for counts
  bool with_mean = true;           ///< of all rows, below them
};

struct PictureStyle {
  std::size_t columns = 80;  ///< of the terminal
  ColorDepth color = ColorDepth::kNone;
  Measure measure = Measure::kNorm;
  std::optional<std::size_t> most_rows = 40;  ///< longer grids are cut in the middle and say so
};

/// What is shown, for a header line: "norm of SUBJECT".
[[nodiscard]] std::string measure_title(Measure measure, std::string_view subject);

/// At most four columns: "3.14", "31.4", "314", "31k", "-.12".
[[nodiscard]] std::string short_number(float value, Measure measure);

/// Lines that end in a newline each, none wider than the style's columns: axis, rows, the mean of all rows, the scale.
/// Norms that differ by more than eightfold are coloured by their logarithm. Layers that do not fit are averaged in
/// groups.
[[nodiscard]] std::string draw(const Grid& grid, const PictureStyle& style);

}  // namespace layerscope
