#include "base/try.h"
#include "cli/argument_groups.h"
#include "cli/command_arguments.h"

namespace layerscope::cli {
namespace {

std::optional<ProbeMetric> metric_argument(const Words& words) {
  const std::string metric = words.text(Flag::kProbeMetric, "");
  if (metric.empty()) return std::nullopt;
  return metric == "f1" ? ProbeMetric::kMacroF1 : metric == "r2" ? ProbeMetric::kR2 : ProbeMetric::kAccuracy;
}

std::optional<ProbeKind> kind_argument(const Words& words) {
  const std::string task = words.text(Flag::kProbeTask, "");
  if (task.empty()) return std::nullopt;
  return task == "regress" ? ProbeKind::kRegress : ProbeKind::kClassify;
}

/// Texts from -i or behind MODEL; without either, what the label file holds.
Result<InputArguments> probe_input(Words words) {
  const bool given = words.given(Flag::kInput) || words.positionals.size() > 1;
  if (!given) words.values[static_cast<std::size_t>(Flag::kInput)] = words.text(Flag::kLabels, "");
  LAYERSCOPE_ASSIGN(InputArguments input, input_arguments(words));
  if (!given) input.path.clear();
  return input;
}

}  // namespace

Result<ProbeArguments> probe_arguments(const Words& words, const CommonArguments& common) {
  ProbeArguments probe;
  LAYERSCOPE_TRY(expect_positionals(words, 1, static_cast<std::size_t>(-1)));
  if (words.text(Flag::kLabels, "").empty())
    return usage("probe: --labels is missing (the file that says what there is to know)");
  LAYERSCOPE_TRY(
      expect_values(words, {Flag::kLabelKey, Flag::kTexts, Flag::kModel, Flag::kLayers, Flag::kSites, Flag::kHtml}));
  LAYERSCOPE_ASSIGN(probe.input, probe_input(words));
  probe.source = words.positionals.front();
  probe.labels = words.text(Flag::kLabels, "");
  probe.label_key = words.text(Flag::kLabelKey, "");
  probe.texts = words.text(Flag::kTexts, "");
  probe.model = words.text(Flag::kModel, "");
  probe.layers = words.text(Flag::kLayers, "");
  probe.sites = words.text(Flag::kSites, "");
  if (words.given(Flag::kPool)) {
    probe.pool = pooling_from_name(words.text(Flag::kPool, ""));
    if (probe.pool == Pooling::kNone) return usage("--pool none: a row that has a label needs one vector");
  }
  const std::string align = words.text(Flag::kAlign, "first");
  probe.word = align == "mean" ? Pooling::kMean : align == "last" ? Pooling::kLast : Pooling::kCls;
  probe.kind = kind_argument(words);
  probe.metric = metric_argument(words);
  LAYERSCOPE_ASSIGN(probe.folds, integer<int>(Flag::kFolds, words.text(Flag::kFolds, "5"), 2, 20));
  LAYERSCOPE_ASSIGN(probe.seed, seed_argument(words));
  probe.control = !words.on(Flag::kNoControl);
  probe.description_length = !words.on(Flag::kNoMdl);
  probe.mix = words.on(Flag::kScalarMix);
  probe.html = words.text(Flag::kHtml, "");
  probe.overwrite = words.on(Flag::kOverwrite);
  LAYERSCOPE_TRY(expect_page(words, common));
  probe.allow_incomplete = words.on(Flag::kAllowIncomplete);
  return probe;
}

}  // namespace layerscope::cli
