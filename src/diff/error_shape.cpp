#include "diff/error_shape.h"

#include <algorithm>
#include <cmath>

#include "analysis/random.h"

namespace layerscope {
namespace {

constexpr int kDraws = 6;
constexpr double kChange = 0.01;           // of a tensor's root mean square
constexpr std::size_t kMostTensors = 64;   // so many are tried
constexpr std::size_t kMostElements = 96;  // of a row, evenly spaced: enough to tell directions apart

// Inner products between the tokens and between the elements of differences [tokens, elements].
struct ErrorShape {
  std::vector<double> tokens, elements;
};

void add(ErrorShape& shape, const std::vector<double>& values, std::size_t count, std::size_t width) {
  const std::size_t step = std::max<std::size_t>(1, width / kMostElements), kept = (width + step - 1) / step;
  double size = 0;
  for (const double value : values) size += value * value;
  if (!(size > 0)) return;
  shape.tokens.resize(count * count, 0.0);
  shape.elements.resize(kept * kept, 0.0);
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b <= a; ++b) {
      double sum = 0;
      for (std::size_t j = 0; j < width; ++j) sum += values[a * width + j] * values[b * width + j];
      shape.tokens[a * count + b] += sum / size;
      if (a != b) shape.tokens[b * count + a] += sum / size;
    }
    for (std::size_t i = 0; i < kept; ++i) {
      for (std::size_t j = 0; j < kept; ++j)
        shape.elements[i * kept + j] += values[a * width + i * step] * values[a * width + j * step] / size;
    }
  }
}

double cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double product = 0, x = 0, y = 0;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    product += a[i] * b[i];
    x += a[i] * a[i];
    y += b[i] * b[i];
  }
  return x > 0 && y > 0 ? product / std::sqrt(x * y) : 0;
}

double alignment(const ErrorShape& a, const ErrorShape& b) {
  return cosine(a.tokens, b.tokens) * cosine(a.elements, b.elements);
}

// About a normal distribution.
double draw(SplitMix64& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.unit();
  return sum;
}

void disturb(SlotValues& slot, SplitMix64& random) {
  double squares = 0;
  for (const float value : slot.values) squares += static_cast<double>(value) * value;
  const double size = std::sqrt(squares / static_cast<double>(std::max<std::size_t>(slot.values.size(), 1)));
  for (float& value : slot.values) value += static_cast<float>(kChange * (size > 0 ? size : 1) * draw(random));
}

// Differences of the rows, every token's as large as the other side's state is small.
std::vector<double> weighed(const BlockLab& lab, const std::vector<double>& from, const std::vector<double>& to) {
  const std::vector<double>& expected = lab.expected();
  const auto width = static_cast<std::size_t>(lab.output_width());
  std::vector<double> values(from.size());
  for (std::size_t at = 0; at < from.size(); at += width) {
    double size = 0;
    for (std::size_t j = at; j < at + width; ++j) size += expected[j] * expected[j];
    const double factor = size > 0 ? 1 / std::sqrt(size) : 0;
    for (std::size_t j = at; j < at + width; ++j) values[j] = (to[j] - from[j]) * factor;
  }
  return values;
}

}  // namespace

std::vector<ShapeMatch> match_shapes(const BlockLab& lab, const std::vector<double>& base) {
  std::vector<ShapeMatch> matches;
  if (lab.base().stack.blocks.empty()) return matches;
  const auto count = static_cast<std::size_t>(lab.tokens()), width = static_cast<std::size_t>(lab.output_width());
  ErrorShape observed;
  add(observed, weighed(lab, base, lab.expected()), count, width);
  for (const auto& [slot, values] : lab.base().weights) {
    if (slot.starts_with("embed.") || slot.find(".experts.") != std::string::npos) continue;
    if (matches.size() == kMostTensors) break;
    ErrorShape shape;
    std::vector<std::vector<double>> draws;
    SplitMix64 random(0);
    for (int i = 0; i < kDraws; ++i) {
      BlockSetup setup = lab.base();
      disturb(*setup.change(slot), random);
      const auto changed = lab.run(setup);
      if (changed) draws.push_back(weighed(lab, base, *changed));
    }
    double own = 0;
    for (std::size_t i = 0; i < draws.size(); ++i) {
      ErrorShape one, others;
      for (std::size_t j = 0; j < draws.size(); ++j) add(i == j ? one : others, draws[j], count, width);
      own += alignment(one, others) / static_cast<double>(draws.size());
    }
    for (const std::vector<double>& draw : draws) add(shape, draw, count, width);
    if (shape.tokens.empty() || !(own > 0)) continue;
    matches.push_back({slot, alignment(observed, shape), own});
  }
  std::ranges::stable_sort(matches, std::ranges::greater(), &ShapeMatch::alignment);
  return matches;
}

}  // namespace layerscope
