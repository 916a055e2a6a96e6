#include "cli/cluster_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>

#include <fmt/format.h>

#include "cli/progress.h"
#include "view/color_ramp.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

constexpr std::size_t kLongestBar = 16;

/// `share` of `columns` to an eighth of a column, at least one eighth, filled with blanks.
std::string length_bar(double share, std::size_t columns) {
  constexpr std::array<std::string_view, 8> kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const auto eighths =
      std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(share * 8 * static_cast<double>(columns))));
  std::string out;
  for (std::size_t i = 0; i < eighths / 8; ++i) out += "█";
  out += kEighths[eighths % 8];
  return left_aligned(out, columns);
}

}  // namespace

std::string draw_clusters(const KMeans& clusters, const std::vector<std::vector<std::string>>& shown,
                          const Terminal& terminal) {
  std::vector<std::size_t> order(clusters.k);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t k) { return clusters.sizes[k]; });
  const std::size_t largest = std::max<std::size_t>(1, clusters.sizes[order.front()]);
  const std::size_t number = std::to_string(clusters.k - 1).size(),
                    size = display_width(count_text(static_cast<std::int64_t>(largest)));
  const std::size_t before = number + 1 + size + 1;
  const std::size_t room = terminal.columns > before ? terminal.columns - before : 1;
  const std::size_t columns = std::clamp<std::size_t>(room / 4, 1, kLongestBar);
  std::string out;
  for (const std::size_t cluster : order) {
    std::string line = right_aligned(std::to_string(cluster), number) + " ";
    line += right_aligned(count_text(static_cast<std::int64_t>(clusters.sizes[cluster])), size) + " ";
    const double share = static_cast<double>(clusters.sizes[cluster]) / static_cast<double>(largest);
    if (clusters.sizes[cluster] > 0) line += length_bar(share, columns);
    if (shown[cluster].empty()) out += line + "\n";
    for (std::size_t i = 0; i < shown[cluster].size(); ++i) {
      if (i > 0) line.assign(before + columns, ' ');
      const std::size_t left = room > columns + 1 ? room - columns - 1 : 0;
      const std::string text = clipped(shown[cluster][i], left);
      out += line + " " + (i == 0 ? text : dim(text, terminal.color)) + "\n";
    }
  }
  return out;
}

}  // namespace layerscope::cli
