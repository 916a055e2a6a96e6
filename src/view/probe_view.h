// What `probe` shows of a report, in several ways.
#pragma once

#include <string>
#include <string_view>

#include "probe/probe.h"
#include "view/terminal.h"

namespace layerscope {

struct ProbeView {
  const ProbeReport& report;
  std::string source;  ///< the run or model
  int folds = 5;
  std::uint64_t seed = 0;
};

/// "accuracy", "f1", "r2": as --metric takes them.
[[nodiscard]] std::string_view metric_name(ProbeMetric metric) noexcept;

/// "4,438 samples of 392 rows in 33 groups, 17 classes, 5 folds"
[[nodiscard]] std::string probe_summary(const ProbeView& view);

/// One JSON object, ending in a newline.
[[nodiscard]] std::string probe_json(const ProbeView& view);

/// A curve that runs downwards, a line a layer: score, interval, control task, what it is worth; then what was learned
/// of all layers together.
[[nodiscard]] std::string probe_picture(const ProbeView& view, const Terminal& terminal);

/// The same as curves on a page that needs nothing else (plot_page.h), with the confusion of the best layer's probe.
[[nodiscard]] std::string probe_page(const ProbeView& view);

}  // namespace layerscope
