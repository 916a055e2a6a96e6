#include "view/picture.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "view/color_ramp.h"
#include "view/display_text.h"

namespace layerscope {
namespace {

constexpr std::size_t kNumberCell = 5;  // four columns of number and a gap
constexpr std::size_t kBarCell = 7;     // a bar beside the number, where there is no colour
constexpr std::size_t kWidestCell = 8;
constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

/// From a value to its place between the lowest and the highest of the picture.
class Scale {
 public:
  Scale(const std::vector<float>& values, Measure measure) {
    for (const float value : values) {
      if (!std::isfinite(value)) continue;
      low_ = std::min(low_, value);
      high_ = std::max(high_, value);
    }
    logarithmic_ = measure == Measure::kNorm && low_ > 0 && high_ > 8 * low_;
  }
  [[nodiscard]] double position(float value) const {
    if (!(high_ > low_)) return 0.5;
    if (logarithmic_) return std::log(double{value} / low_) / std::log(double{high_} / low_);
    return (double{value} - low_) / (double{high_} - low_);
  }
  [[nodiscard]] bool empty() const { return low_ > high_; }
  [[nodiscard]] float low() const { return low_; }
  [[nodiscard]] float high() const { return high_; }
  [[nodiscard]] bool logarithmic() const { return logarithmic_; }

 private:
  float low_ = std::numeric_limits<float>::infinity();
  float high_ = -std::numeric_limits<float>::infinity();
  bool logarithmic_ = false;
};

float mean_of(const std::vector<float>& values) {
  double sum = 0;
  std::size_t count = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNothing : static_cast<float>(sum / static_cast<double>(count));
}

/// The grid with groups of `group` neighbouring columns made one.
Grid grouped(const Grid& grid, std::size_t group) {
  Grid out = grid;
  const std::size_t columns = grid.columns.size();
  out.columns.clear();
  out.values.clear();
  for (std::size_t first = 0; first < columns; first += group) {
    const std::string& brief = grid.columns[first].brief;
    out.columns.push_back({brief, brief});
  }
  for (std::size_t row = 0; row < grid.rows.size(); ++row) {
    const auto begin = grid.values.begin() + static_cast<std::ptrdiff_t>(row * columns);
    for (std::size_t first = 0; first < columns; first += group) {
      const std::size_t last = std::min(first + group, columns);
      out.values.push_back(
          mean_of({begin + static_cast<std::ptrdiff_t>(first), begin + static_cast<std::ptrdiff_t>(last)}));
    }
  }
  return out;
}

class Drawing {
 public:
  Drawing(const Grid& grid, const PictureStyle& style)
      : grid_(grid), style_(style), scale_(grid.values, style.measure) {
    const std::int64_t largest = grid.numbers.empty() ? 0 : *std::ranges::max_element(grid.numbers);
    number_width_ = std::to_string(largest).size();
    std::size_t widest = 5;
    for (const std::string& label : grid.rows) widest = std::max(widest, display_width(label));
    const std::size_t columns = grid.columns.size();
    const std::size_t fixed = number_width_ + 3;
    const std::size_t most = std::max<std::size_t>(8, style.columns / 4);
    label_width_ = std::min(widest, most);
    const std::size_t left = style.columns - std::min(style.columns, fixed + label_width_);
    cell_ = std::clamp<std::size_t>(left / std::max<std::size_t>(1, columns), 1, kWidestCell);
    if (columns > left) group_ = (columns + left - 1) / std::max<std::size_t>(1, left);
    const std::size_t used = fixed + columns * cell_;
    if (used < style.columns && group_ == 1) label_width_ = std::min(widest, style.columns - used);
  }

  std::string draw() {
    if (group_ > 1) {
      grid_ = grouped(grid_, group_);
      scale_ = Scale(grid_.values, style_.measure);
    }
    axis();
    const std::size_t rows = grid_.rows.size();
    const std::size_t most = std::max<std::size_t>(2, style_.most_rows.value_or(rows));
    const std::size_t tail = rows > most ? most / 3 : 0;
    const std::size_t head = rows > most ? most - tail : rows;
    for (std::size_t row = 0; row < head; ++row) values_line(row);
    if (rows > most) {
      const std::string more = fmt::format("{:>{}} {} more {}s", "⋮", number_width_, rows - most, grid_.row_noun);
      out_ += dim(clipped(more, style_.columns), style_.color) + "\n";
    }
    for (std::size_t row = rows - tail; row < rows; ++row) values_line(row);
    if (rows > 1 && grid_.with_mean) mean_line();
    legend();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::size_t margin() const { return number_width_ + label_width_ + 3; }

  void axis() {
    std::string line(margin(), ' ');
    std::size_t at = margin();
    for (std::size_t column = 0; column < grid_.columns.size(); ++column) {
      const ColumnLabel& label = grid_.columns[column];
      const std::size_t start = margin() + column * cell_;
      if (cell_ >= kNumberCell) {
        const std::string& text = display_width(label.full) < cell_ ? label.full : label.brief;
        line += right_aligned(text, cell_);
        continue;
      }
      const bool fits = start + display_width(label.brief) <= style_.columns;
      if (start < at || !fits) continue;
      line.append(start - at, ' ');
      line += label.brief;
      at = start + display_width(label.brief) + 1;
      line += ' ';
    }
    while (line.ends_with(' ')) line.pop_back();
    out_ += dim(line, style_.color) + "\n";
  }

  std::string cell(float value) {
    if (!std::isfinite(value)) return right_aligned("·", cell_);
    const double position = scale_.position(value);
    if (cell_ >= kNumberCell) {
      const std::string number = short_number(value, style_.measure);
      const bool with_bar = style_.color == ColorDepth::kNone && cell_ >= kBarCell;
      if (!with_bar) return on_ramp(right_aligned(number, cell_), position, style_.color);
      return fmt::format("{}{}", right_aligned(bar(position), cell_ - kNumberCell), right_aligned(number, kNumberCell));
    }
    if (style_.color != ColorDepth::kNone) return on_ramp(std::string(cell_, ' '), position, style_.color);
    std::string bars;
    for (std::size_t k = 0; k < cell_; ++k) bars += bar(position);
    return bars;
  }

  void values_line(std::size_t row) {
    const std::string number = row < grid_.numbers.size() ? std::to_string(grid_.numbers[row]) : "";
    out_ += dim(right_aligned(number, number_width_), style_.color) + " " +
            left_aligned(grid_.rows[row], label_width_) + "  ";
    for (std::size_t column = 0; column < grid_.columns.size(); ++column) out_ += cell(value(row, column));
    out_ += "\n";
  }

  void mean_line() {
    const std::string rule = fmt::format("{:─<{}}", "", grid_.columns.size() * cell_);
    out_ += dim(std::string(margin(), ' ') + rule, style_.color) + "\n";
    out_ += std::string(number_width_ + 1, ' ') + left_aligned("mean", label_width_) + "  ";
    for (std::size_t column = 0; column < grid_.columns.size(); ++column) {
      std::vector<float> values;
      for (std::size_t row = 0; row < grid_.rows.size(); ++row) values.push_back(value(row, column));
      out_ += cell(mean_of(values));
    }
    out_ += "\n";
  }

  void legend() {
    if (scale_.empty()) return;
    std::string ramp;
    const int steps = style_.columns < 60 ? 16 : 24;
    for (int step = 0; step < steps; ++step) {
      const double position = (step + 0.5) / steps;
      ramp += style_.color == ColorDepth::kNone ? std::string(bar(position)) : on_ramp(" ", position, style_.color);
    }
    std::string text =
        fmt::format("{}{} {} {}", std::string(number_width_ + 1, ' '), short_number(scale_.low(), style_.measure), ramp,
                    short_number(scale_.high(), style_.measure));
    if (scale_.logarithmic()) text += "  log";
    out_ += text + "\n";
    if (group_ > 1)
      out_ += fmt::format("{}a column is the mean of {} layers\n", std::string(number_width_ + 1, ' '), group_);
  }

  [[nodiscard]] float value(std::size_t row, std::size_t column) const {
    return grid_.values[row * grid_.columns.size() + column];
  }

  Grid grid_;
  PictureStyle style_;
  Scale scale_;
  std::size_t number_width_ = 1, label_width_ = 8, cell_ = 1, group_ = 1;
  std::string out_;
};

}  // namespace

std::string measure_title(Measure measure, std::string_view subject) {
  switch (measure) {
    case Measure::kNorm: return fmt::format("norm of {}", subject);
    case Measure::kStep: return fmt::format("cosine of {} to the layer before", subject);
    case Measure::kDrift: return fmt::format("cosine of {} to the first layer shown", subject);
  }
  return {};
}

std::string short_number(float value, Measure measure) {
  if (measure != Measure::kNorm) {
    std::string text = fmt::format("{:.2f}", value);
    if (text == "-0.00") return "0.00";
    return text.starts_with("-0") ? "-" + text.substr(2) : text.starts_with("-") ? text.substr(0, 4) : text;
  }
  if (value < 9.995F) return fmt::format("{:.2f}", value);
  if (value < 99.95F) return fmt::format("{:.1f}", value);
  if (value < 9999.5F) return fmt::format("{:.0f}", value);
  if (value < 999.5e3F) return fmt::format("{:.0f}k", value / 1e3F);
  if (value < 999.5e6F) return fmt::format("{:.0f}M", value / 1e6F);
  return value < 999.5e9F ? fmt::format("{:.0f}G", value / 1e9F) : ">1T";
}

std::string draw(const Grid& grid, const PictureStyle& style) { return Drawing(grid, style).draw(); }

}  // namespace layerscope
