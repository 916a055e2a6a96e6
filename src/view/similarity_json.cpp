#include <cmath>

#include <fmt/format.h>

#include "base/json.h"
#include "view/similarity_view.h"

namespace layerscope {
namespace {

void append_number(std::string& out, double value) {
  if (std::isfinite(value))
    append_json_number(out, value);
  else
    out += "null";
}

void append_layer(std::string& out, const LayerFigures& layer) {
  out += fmt::format("{{\"side\":\"{}\",\"site\":", layer.of_b ? 'b' : 'a');
  append_json_string(out, layer.site.name);
  out += ",\"hf_index\":" + (layer.site.hf_index ? std::to_string(*layer.site.hf_index) : "null");
  out += fmt::format(",\"width\":{}", layer.site.width);
  for (const auto& [name, value] : {std::pair{"norm", layer.norm},
                                    {"cosine_before", layer.cosine_before},
                                    {"cosine_other", layer.cosine_other},
                                    {"effective_rank", layer.effective_rank},
                                    {"anisotropy", layer.anisotropy}}) {
    out += fmt::format(",\"{}\":", name);
    append_number(out, value);
  }
  out += '}';
}

void append_table(std::string& out, const std::vector<double>& values, std::size_t layers) {
  out += '[';
  for (std::size_t k = 0; k < values.size(); ++k) {
    out += k == 0 ? "[" : k % layers == 0 ? "],[" : ",";
    append_number(out, values[k]);
  }
  out += "]]";
}

}  // namespace

std::string similarity_json(const SimilarityView& view) {
  const SimilarityReport& report = view.report;
  std::string out = "{\"a\":";
  append_json_string(out, view.a);
  out += ",\"b\":";
  if (view.b.empty())
    out += "null";
  else
    append_json_string(out, view.b);
  out += fmt::format(",\"rows\":{},\"vectors\":{},\"ranked_vectors\":{},\"unmatched_rows\":{},\"seed\":{},\"layers\":[",
                     report.rows, report.vectors, report.ranked, report.unmatched, view.seed);
  for (const LayerFigures& layer : report.layers) {
    if (out.back() != '[') out += ',';
    append_layer(out, layer);
  }
  out += "],\"cka\":";
  append_table(out, report.cka, report.layers.size());
  out += ",\"rsa\":";
  append_table(out, report.rsa, report.layers.size());
  return out + "}\n";
}

}  // namespace layerscope
