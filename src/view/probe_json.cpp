#include <fmt/format.h>

#include "base/json.h"
#include "view/probe_view.h"

namespace layerscope {
namespace {

void append_member(std::string& out, std::string_view key, const std::optional<double>& value) {
  out += fmt::format(",\"{}\":", key);
  if (value) {
    append_json_number(out, *value);
  } else {
    out += "null";
  }
}

void append_score(std::string& out, const ProbeScore& score) {
  out += "\"score\":";
  append_json_number(out, score.score);
  append_member(out, "low", score.low);
  append_member(out, "high", score.high);
}

void append_numbers(std::string& out, const std::vector<double>& numbers) {
  out += '[';
  for (std::size_t k = 0; k < numbers.size(); ++k) {
    if (k > 0) out += ',';
    append_json_number(out, numbers[k]);
  }
  out += ']';
}

void append_layer(std::string& out, const SiteProbe& layer) {
  const LayerProbe& probe = layer.probe;
  out += "{\"site\":";
  append_json_string(out, layer.site.name);
  out += ",\"hf_index\":" + (layer.site.hf_index ? std::to_string(*layer.site.hf_index) : "null") + ",";
  append_score(out, probe.score);
  append_member(out, "control", probe.control ? std::optional(probe.control->score) : std::nullopt);
  append_member(out, "selectivity", probe.selectivity);
  append_member(out, "mdl_bits", probe.length ? std::optional(probe.length->bits) : std::nullopt);
  append_member(out, "mdl_uniform_bits", probe.length ? std::optional(probe.length->uniform_bits) : std::nullopt);
  out += ",\"strengths\":";
  append_numbers(out, probe.strengths);
  out += fmt::format(",\"unconverged\":{}}}", probe.unconverged);
}

void append_classes(std::string& out, const ProbeReport& report) {
  out += ",\"classes\":";
  if (report.class_names.empty()) {
    out += "null";
    return;
  }
  out += '[';
  for (std::size_t k = 0; k < report.class_names.size(); ++k) {
    out += k > 0 ? ",{\"label\":" : "{\"label\":";
    append_json_string(out, report.class_names[k]);
    out += fmt::format(",\"samples\":{}}}", report.class_samples[k]);
  }
  out += ']';
}

/// Samples of each class by the class that the best layer's probe takes them for.
void append_confusion(std::string& out, const ProbeReport& report) {
  const SiteProbe& best = report.layers[report.best];
  out += ",\"confusion\":";
  if (best.probe.confusion.empty()) {
    out += "null";
    return;
  }
  out += "{\"site\":";
  append_json_string(out, best.site.name);
  out += ",\"counts\":[";
  const std::size_t classes = report.class_names.size();
  for (std::size_t row = 0; row < classes; ++row) {
    out += row > 0 ? ",[" : "[";
    for (std::size_t column = 0; column < classes; ++column)
      out += (column > 0 ? "," : "") + std::to_string(best.probe.confusion[row * classes + column]);
    out += ']';
  }
  out += "]}";
}

}  // namespace

std::string_view metric_name(ProbeMetric metric) noexcept {
  switch (metric) {
    case ProbeMetric::kAccuracy: return "accuracy";
    case ProbeMetric::kMacroF1: return "f1";
    case ProbeMetric::kR2: return "r2";
  }
  return "";
}

std::string probe_json(const ProbeView& view) {
  const ProbeReport& report = view.report;
  std::string out = fmt::format(
      "{{\"task\":\"{}\",\"metric\":\"{}\",\"samples\":{},\"rows\":{},\"groups\":{},\"folds\":{},\"seed\":{}",
      report.kind == ProbeKind::kClassify ? "classify" : "regress", metric_name(report.metric), report.samples,
      report.rows, report.groups, view.folds, view.seed);
  out += fmt::format(",\"without_token\":{},\"unmatched\":{}", report.without_token, report.unmatched);
  append_classes(out, report);
  out += ",\"baseline\":{";
  append_score(out, report.baseline);
  out += "},\"layers\":[";
  for (const SiteProbe& layer : report.layers) {
    if (out.back() != '[') out += ',';
    append_layer(out, layer);
  }
  out += "],\"best\":";
  append_json_string(out, report.layers[report.best].site.name);
  append_confusion(out, report);
  out += ",\"mix\":";
  if (!report.mix) return out + "null}\n";
  out += "{\"weights\":";
  append_numbers(out, report.mix->weights);
  append_member(out, "gamma", report.mix->gamma);
  out += ',';
  append_score(out, report.mix->score);
  return out + "}}\n";
}

}  // namespace layerscope
