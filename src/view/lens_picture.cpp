#include <algorithm>

#include <fmt/format.h>

#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/lens_view.h"
#include "view/model_view.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostPositions = 40;  // without --all
constexpr std::size_t kMargin = 13;         // "final   0.00 "
constexpr std::size_t kNarrowest = 5, kWidest = 14;

/// Positions of one picture, by index into LensRow::positions; cut in the middle where they are too many.
std::vector<std::size_t> shown_positions(std::size_t count, bool all) {
  std::vector<std::size_t> shown;
  const std::size_t tail = !all && count > kMostPositions ? kMostPositions / 3 : 0;
  const std::size_t head = tail > 0 ? kMostPositions - tail : count;
  for (std::size_t k = 0; k < count; ++k) {
    if (k < head || k >= count - tail) shown.push_back(k);
  }
  return shown;
}

class Drawing {
 public:
  Drawing(const LensView& view, const Terminal& terminal) : view_(view), terminal_(terminal) {}

  /// The layers at these positions.
  std::string draw(std::span<const std::size_t> positions, std::size_t cell) {
    std::string out;
    line(out, "", positions, [&](std::size_t at) {
      return dim(left_aligned(std::to_string(view_.lens.positions[at]), cell - 1), terminal_.color);
    });
    const std::vector<std::int32_t>& ids = tokens_of(view_.model, view_.row, view_.stack).ids;
    line(out, "      mean kl", positions, [&](std::size_t at) {
      const std::int32_t id = ids[static_cast<std::size_t>(view_.lens.positions[at])];
      return bold(left_aligned(token_label(view_.model, id), cell - 1), terminal_.color);
    });
    for (const LensLayer& layer : view_.lens.layers) {
      const std::string label =
          left_aligned(layer_label(layer), 6) + right_aligned(fmt::format("{:.2f}", mean_kl(layer)), 7);
      line(out, label, positions, [&](std::size_t at) { return prediction(layer.positions[at], cell - 1); });
    }
    return out;
  }

 private:
  template <class Cell>
  void line(std::string& out, std::string_view label, std::span<const std::size_t> positions, const Cell& text) {
    std::string line = dim(left_aligned(label, kMargin), terminal_.color);
    for (const std::size_t at : positions) line += " " + text(at);
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }

  std::string prediction(const Prediction& at, std::size_t columns) {
    if (at.top.empty()) return std::string(columns, ' ');
    const double p = at.of.probability(at.top.front().score);
    const std::string label = token_label(view_.model, at.top.front().id);
    if (terminal_.color != ColorDepth::kNone) return on_ramp(left_aligned(label, columns), p, terminal_.color);
    return left_aligned(label, columns - 1) + std::string(bar(p));
  }

  const LensView& view_;
  const Terminal& terminal_;
};

}  // namespace

std::string layer_label(const LensLayer& layer) {
  if (layer.site.ends_with("embed")) return "embed";
  if (layer.site.ends_with("final")) return "final";
  return layer.hf_index ? std::to_string(*layer.hf_index) : layer.site;
}

double mean_kl(const LensLayer& layer) {
  double sum = 0;
  for (const Prediction& at : layer.positions) sum += at.kl;
  return layer.positions.empty() ? 0 : sum / static_cast<double>(layer.positions.size());
}

std::string lens_picture(const LensView& view, const Terminal& terminal, bool all) {
  const std::vector<std::size_t> shown = shown_positions(view.lens.positions.size(), all);
  std::size_t widest = kNarrowest - 1;
  for (const LensLayer& layer : view.lens.layers) {
    for (const std::size_t at : shown) {
      const std::vector<ScoredId>& top = layer.positions[at].top;
      if (!top.empty()) widest = std::max(widest, display_width(token_label(view.model, top.front().id)));
    }
  }
  const std::size_t bar_columns = terminal.color == ColorDepth::kNone ? 1 : 0;
  const std::size_t cell = std::min(kWidest, widest + 1 + bar_columns);
  const std::size_t room = terminal.columns > kMargin + cell ? terminal.columns - kMargin : cell;
  const std::size_t most = std::max<std::size_t>(1, room / cell);
  std::string out;
  for (std::size_t first = 0; first < shown.size(); first += most) {
    if (first > 0) out += "\n";
    out += Drawing(view, terminal).draw(std::span(shown).subspan(first, std::min(most, shown.size() - first)), cell);
  }
  if (shown.size() < view.lens.positions.size()) {
    const std::string more = fmt::format("{} positions in the middle are left out (--all shows them)",
                                         view.lens.positions.size() - shown.size());
    out += dim(clipped(more, terminal.columns), terminal.color) + "\n";
  }
  return out;
}

}  // namespace layerscope
