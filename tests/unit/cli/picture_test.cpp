#include "view/picture.h"

#include <cmath>
#include <limits>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/grid_sink.h"
#include "view/color_ramp.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

Grid small_grid() {
  Grid grid;
  grid.rows = {"[CLS]", "日本", "[SEP]"};
  grid.numbers = {0, 1, 2};
  grid.columns = {{"embed", "0"}, {"1", "1"}, {"final", "2"}};
  grid.values = {1, 2, 3, 1.5F, 12.25F, 7, 2, 4, std::numeric_limits<float>::quiet_NaN()};
  return grid;
}

Grid large_grid(std::size_t rows, std::size_t columns) {
  Grid grid;
  for (std::size_t row = 0; row < rows; ++row) {
    grid.rows.push_back("token" + std::to_string(row));
    grid.numbers.push_back(static_cast<std::int64_t>(row));
  }
  for (std::size_t column = 0; column < columns; ++column)
    grid.columns.push_back({std::to_string(column), std::to_string(column)});
  for (std::size_t k = 0; k < rows * columns; ++k) grid.values.push_back(1 + static_cast<float>(k % 97));
  return grid;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string without_colors(const std::string& text) {
  std::string out;
  for (std::size_t k = 0; k < text.size(); ++k) {
    if (text[k] == '\033') {
      k = text.find('m', k);
    } else {
      out += text[k];
    }
  }
  return out;
}

TEST(Picture, SmallGridWithoutColor) {
  EXPECT_EQ(draw(small_grid(), {}),
            "            embed       1   final\n"
            "0 [CLS]    ▁ 1.00  ▃ 2.00  ▄ 3.00\n"
            "1 日本     ▂ 1.50  █ 12.2  ▇ 7.00\n"
            "2 [SEP]    ▃ 2.00  ▅ 4.00       ·\n"
            "         ────────────────────────\n"
            "  mean     ▂ 1.50  ▆ 6.08  ▆ 5.00\n"
            "  1.00 ▁▁▁▂▂▂▃▃▃▄▄▄▅▅▅▆▆▆▇▇▇███ 12.2  log\n");
}

TEST(Picture, ColorChangesNoText) {
  for (const ColorDepth depth : {ColorDepth::k16, ColorDepth::k256, ColorDepth::kTrue}) {
    const std::string colored = draw(small_grid(), {80, depth, Measure::kNorm, 40});
    EXPECT_THAT(colored, HasSubstr("\033["));
    EXPECT_THAT(without_colors(colored), HasSubstr("12.2"));
    EXPECT_THAT(without_colors(colored), Not(HasSubstr("\033")));
    EXPECT_TRUE(colored.ends_with("\n"));
  }
}

TEST(Picture, EveryWidthIsKept) {
  for (const std::size_t layers : {1, 2, 7, 13, 25, 33, 81, 200, 1000}) {
    for (const std::size_t width : {40, 60, 80, 200}) {
      for (const ColorDepth depth : {ColorDepth::kNone, ColorDepth::kTrue}) {
        for (const std::string& line : lines_of(draw(large_grid(3, layers), {width, depth, Measure::kNorm, 40}))) {
          ASSERT_LE(display_width(without_colors(line)), width) << layers << " layers: " << line;
        }
      }
    }
  }
}

TEST(Picture, LayersOfBertBaseFitWithNumbers) { EXPECT_THAT(draw(large_grid(2, 13), {}), HasSubstr("13.0")); }

TEST(Picture, LayersThatDoNotFitAreAveragedAndItSaysSo) {
  EXPECT_THAT(draw(large_grid(2, 200), {}), HasSubstr("a column is the mean of"));
  EXPECT_THAT(draw(large_grid(2, 33), {}), Not(HasSubstr("a column is the mean of")));
}

TEST(Picture, LongTextsAreCutInTheMiddleAndCounted) {
  PictureStyle style;
  style.most_rows = 9;
  const std::string picture = draw(large_grid(100, 3), style);
  EXPECT_THAT(picture, HasSubstr("91 more tokens"));
  EXPECT_THAT(picture, HasSubstr(" 0 token0 "));
  EXPECT_THAT(picture, HasSubstr("99 token99 "));
  EXPECT_THAT(picture, Not(HasSubstr("token50 ")));
  style.most_rows.reset();
  EXPECT_THAT(draw(large_grid(100, 3), style), HasSubstr("token50 "));
}

TEST(Picture, EqualAndMissingValuesAreDrawn) {
  Grid grid = small_grid();
  grid.values.assign(9, 1);
  EXPECT_THAT(draw(grid, {}), HasSubstr("1.00"));
  grid.values.assign(9, std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(draw(grid, {}), HasSubstr("·"));
}

TEST(Picture, NumbersTakeFourColumns) {
  EXPECT_EQ(short_number(3.14159F, Measure::kNorm), "3.14");
  EXPECT_EQ(short_number(9.999F, Measure::kNorm), "10.0");
  EXPECT_EQ(short_number(99.99F, Measure::kNorm), "100");
  EXPECT_EQ(short_number(31415.9F, Measure::kNorm), "31k");
  EXPECT_EQ(short_number(2.5e7F, Measure::kNorm), "25M");
  EXPECT_EQ(short_number(1e30F, Measure::kNorm), ">1T");
  EXPECT_EQ(short_number(1, Measure::kStep), "1.00");
  EXPECT_EQ(short_number(-0.123F, Measure::kStep), "-.12");
  EXPECT_EQ(short_number(-0.001F, Measure::kStep), "0.00");
  EXPECT_EQ(short_number(-1, Measure::kDrift), "-1.0");
}

TEST(ColorRamp, EndsAndText) {
  EXPECT_EQ(on_ramp("x", 0, ColorDepth::kNone), "x");
  EXPECT_EQ(on_ramp("x", 0, ColorDepth::kTrue), "\033[48;2;68;1;84;38;2;255;255;255mx\033[0m");
  EXPECT_EQ(on_ramp("x", 1, ColorDepth::kTrue), "\033[48;2;253;231;37;38;2;0;0;0mx\033[0m");
  EXPECT_EQ(on_ramp("x", 7, ColorDepth::kTrue), on_ramp("x", 1, ColorDepth::kTrue));
  EXPECT_EQ(on_ramp("x", 1, ColorDepth::k16), "\033[103;30mx\033[0m");
  EXPECT_EQ(bar(0), "▁");
  EXPECT_EQ(bar(1), "█");
}

/// A table of a model with two blocks of width 2.
TapPlan plan_of_two_blocks() {
  SiteTable table;
  table.layers = {2, 0};
  const auto add = [&](const char* name, int block, SiteKind kind, int hf_index) {
    Site site;
    site.name = name;
    site.block = block;
    site.kind = kind;
    site.width = 2;
    site.hf_index = hf_index;
    table.sites.push_back(site);
  };
  add("embed", -1, SiteKind::kEmbed, 0);
  add("block.0.out", 0, SiteKind::kBlockOut, 1);
  add("final", -1, SiteKind::kFinal, 2);
  return *TapPlan::compile(table, {});
}

std::vector<std::vector<float>> measured(Measure measure) {
  const TapPlan plan = plan_of_two_blocks();
  GridSink sink(plan, measure);
  const std::vector<std::vector<float>> states{{3, 4, 1, 0}, {4, 3, 0, 2}, {-4, -3, 3, 0}};  // a site each, two tokens
  for (std::size_t site = 0; site < states.size(); ++site) {
    for (std::int64_t token = 0; token < 2; ++token) {  // a frame a token: the sink must not mind how a site is cut
      RowsView rows{DType::kF32, reinterpret_cast<const std::byte*>(states[site].data() + 2 * token), 1, 2, 2};
      EXPECT_TRUE(sink.accept({static_cast<int>(site), 0, token, rows}));
    }
  }
  return {sink.values(0), sink.values(1), sink.values(2)};
}

TEST(GridSink, Norms) {
  EXPECT_EQ(measured(Measure::kNorm), (std::vector<std::vector<float>>{{5, 1}, {5, 2}, {5, 3}}));
}

TEST(GridSink, CosinesToTheLayerBefore) {
  const auto values = measured(Measure::kStep);
  EXPECT_TRUE(std::isnan(values[0][0]) && std::isnan(values[0][1]));
  EXPECT_FLOAT_EQ(values[1][0], 0.96F);
  EXPECT_FLOAT_EQ(values[1][1], 0);
  EXPECT_FLOAT_EQ(values[2][0], -1);
  EXPECT_FLOAT_EQ(values[2][1], 0);
}

TEST(GridSink, CosinesToTheEmbedding) {
  const auto values = measured(Measure::kDrift);
  EXPECT_TRUE(std::isnan(values[0][0]));
  EXPECT_FLOAT_EQ(values[1][0], 0.96F);
  EXPECT_FLOAT_EQ(values[2][0], -0.96F);
  EXPECT_FLOAT_EQ(values[2][1], 1);
}

TEST(ReadRow, AllStoredTypes) {
  const std::vector<float> f32{1.5F, -2};
  const std::vector<std::uint16_t> f16{0x3E00, 0xC000};
  const std::vector<std::uint16_t> bf16{0x3FC0, 0xC000};
  std::vector<float> out;
  read_row({DType::kF32, reinterpret_cast<const std::byte*>(f32.data()), 1, 2, 2}, 0, out);
  EXPECT_EQ(out, f32);
  read_row({DType::kF16, reinterpret_cast<const std::byte*>(f16.data()), 1, 2, 2}, 0, out);
  EXPECT_EQ(out, f32);
  read_row({DType::kBF16, reinterpret_cast<const std::byte*>(bf16.data()), 1, 2, 2}, 0, out);
  EXPECT_EQ(out, f32);
}

}  // namespace
}  // namespace layerscope::cli
