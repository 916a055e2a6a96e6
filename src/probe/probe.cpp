#include "probe/probe.h"

#include <algorithm>
#include <new>

#include "base/try.h"

namespace layerscope {
namespace {

Result<ProbeMetric> metric_of(ProbeKind kind, std::optional<ProbeMetric> asked, const std::string& labels) {
  const bool numbers = kind == ProbeKind::kRegress;
  if (!asked) return numbers ? ProbeMetric::kR2 : ProbeMetric::kAccuracy;
  if ((*asked == ProbeMetric::kR2) == numbers) return *asked;
  return Error{ErrorCode::kUsage,
               labels + (numbers ? ": its labels are numbers, which r2 scores; --task classify takes "
                                   "them as classes"
                                 : ": its labels are classes, which accuracy and f1 score, r2 does not")};
}

Error at_site(const ProbeSite& site, const Error& error) { return {error.code, site.name + ": " + error.message}; }

}  // namespace

Result<ProbeReport> probe_layers(const Gathered& gathered, const std::string& labels,
                                 const ProbeSettings& settings) try {
  const ProbeSamples& samples = gathered.samples;
  ProbeReport report;
  report.kind = samples.kind;
  ProbeOptions options = settings.options;
  LAYERSCOPE_ASSIGN(options.metric, metric_of(samples.kind, settings.metric, labels));
  Result<std::unique_ptr<ProbeTask>> made = ProbeTask::make(samples.labels(), options);
  if (!made) return Error{made.error().code, labels + ": " + made.error().message};
  const ProbeTask& task = **made;
  report.metric = options.metric;
  report.samples = task.rows();
  report.rows = samples.rows;
  report.groups = task.groups();
  report.without_token = samples.without_token;
  report.unmatched = samples.unmatched;
  report.class_names = samples.class_names;
  report.class_samples = task.class_rows();
  report.baseline = task.baseline();
  const std::vector<ProbeSite>& sites = gathered.layers->sites();
  for (std::size_t k = 0; k < sites.size(); ++k) {
    if (settings.begin) settings.begin(sites[k]);
    const std::vector<VectorBlock> blocks = gathered.layers->blocks(k);
    Result<LayerProbe> probe = task.run({blocks, sites[k].width});
    if (!probe) return at_site(sites[k], probe.error());
    report.layers.push_back({sites[k], *std::move(probe)});
    if (report.layers[k].probe.score.score > report.layers[report.best].probe.score.score) report.best = k;
  }
  if (!settings.mix) return report;
  std::vector<std::vector<VectorBlock>> blocks;
  std::vector<VectorSet> sets;
  for (std::size_t k = 0; k < sites.size(); ++k) {
    if (sites[k].width != sites.front().width) {
      return Error{ErrorCode::kUsage, "sites " + sites.front().name + " and " + sites[k].name +
                                          " differ in width, so that no mix of them can be learned"};
    }
    blocks.push_back(gathered.layers->blocks(k));
    sets.push_back({blocks.back(), sites[k].width});
  }
  LAYERSCOPE_ASSIGN(report.mix, task.mix(sets));
  return report;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, labels + ": out of memory while layers were probed (fewer --layers need less)"};
}

}  // namespace layerscope
