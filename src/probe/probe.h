// What every layer knows: one task of labels put to the vectors of each site.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/probe.h"
#include "layerscope/error.h"
#include "probe/gather.h"

namespace layerscope {

struct ProbeSettings {
  std::optional<ProbeMetric> metric;  ///< nothing: accuracy of classes, R² of numbers
  ProbeOptions options;               ///< its `metric` is not looked at
  bool mix = false;                   ///< learn a scalar mix of the layers too
  /// Told before every site.
  std::function<void(const ProbeSite& site)> begin = {};
};

struct SiteProbe {
  ProbeSite site;
  LayerProbe probe;
};

struct ProbeReport {
  ProbeKind kind = ProbeKind::kClassify;
  ProbeMetric metric = ProbeMetric::kAccuracy;
  std::int64_t samples = 0, rows = 0, groups = 0;
  std::int64_t without_token = 0, unmatched = 0;  ///< as ProbeSamples
  std::vector<std::string> class_names;
  std::vector<std::int64_t> class_samples;
  ProbeScore baseline;
  std::vector<SiteProbe> layers;
  std::optional<LayerMix> mix;
  std::size_t best = 0;  ///< index of the layer with the highest score, the first of equal ones
};

/// Errors: kUsage for a metric that does not go with the labels and for what ProbeTask refuses, naming `labels`;
/// kRuntime for states that are not finite, naming the site; kResource.
[[nodiscard]] Result<ProbeReport> probe_layers(const Gathered& gathered, const std::string& labels,
                                               const ProbeSettings& settings);

}  // namespace layerscope
