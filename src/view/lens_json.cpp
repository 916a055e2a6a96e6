#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "base/json.h"
#include "view/lens_view.h"
#include "view/model_view.h"

namespace layerscope {
namespace {

/// A divergence beyond float32 is written as the largest float32: JSON has no infinity.
float finite(double value) { return static_cast<float>(std::min(value, double{std::numeric_limits<float>::max()})); }

template <class Append>
void append_positions(std::string& out, std::string_view key, const LensLayer& layer, const Append& append) {
  out += fmt::format(",\"{}\":[", key);
  for (const Prediction& prediction : layer.positions) {
    if (&prediction != &layer.positions.front()) out += ',';
    append(prediction);
  }
  out += ']';
}

}  // namespace

std::string lens_json(const LensView& view) {
  std::string out = fmt::format("{{\"row\":{},\"id\":{},", view.input.number, view.input.id.value_or("null"));
  append_input_ids_json(out, view.model, view.row);
  if (view.picked) {
    out += ",\"positions\":";
    append_numbers_json(out, view.lens.positions);
  }
  out += ",\"answers\":";
  append_numbers_json(out, view.lens.answers);
  out += ",\"layers\":[";
  for (const LensLayer& layer : view.lens.layers) {
    if (out.back() != '[') out += ',';
    out += fmt::format("{{\"hf_index\":{},\"site\":", layer.hf_index ? std::to_string(*layer.hf_index) : "null");
    append_json_string(out, layer.site);
    append_positions(out, "top", layer,
                     [&](const Prediction& at) { append_top_json(out, view.model, at.top, at.of, false); });
    append_positions(out, "entropy", layer,
                     [&](const Prediction& at) { append_json_number(out, finite(at.of.entropy)); });
    append_positions(out, "kl", layer, [&](const Prediction& at) { append_json_number(out, finite(at.kl)); });
    append_positions(out, "rank", layer, [&](const Prediction& at) { append_json_number(out, at.rank); });
    append_positions(out, "answer_p", layer,
                     [&](const Prediction& at) { append_json_number(out, finite(at.answer_p)); });
    out += '}';
  }
  return out + "]}\n";
}

}  // namespace layerscope
