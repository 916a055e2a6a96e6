// Clusters on a terminal.
#pragma once

#include <string>
#include <vector>

#include "analysis/kmeans.h"
#include "cli/terminal.h"

namespace layerscope::cli {

/// A line or more a cluster, the largest first: its number, its size as a number and a bar, and what stands for the
/// rows nearest its centre, `shown` [k][rows] (visible text). No line is wider than the terminal.
[[nodiscard]] std::string draw_clusters(const KMeans& clusters, const std::vector<std::vector<std::string>>& shown,
                                        const Terminal& terminal);

}  // namespace layerscope::cli
