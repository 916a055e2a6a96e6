#include "tap/layer_list.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/try.h"

namespace layerscope {
namespace {

Error usage(std::string message) { return Error{ErrorCode::kUsage, std::move(message)}; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes "enc:" or "dec:" off; `scope` says which stacks the item and its successors mean.
Status take_prefix(std::string_view& item, const std::array<int, 2>& layers, std::array<bool, 2>& scope) {
  for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
    const std::string_view prefix = stack == 0 ? "enc:" : "dec:";
    if (!item.starts_with(prefix)) continue;
    if (layers[0] == 0 || layers[1] == 0)
      return usage("\"" + std::string(item) + "\": this model has one stack, leave out \"" + std::string(prefix) +
                   "\"");
    item.remove_prefix(prefix.size());
    scope = {stack == 0, stack == 1};
  }
  return {};
}

Result<int> layer_number(std::string_view text, int count, std::string_view item) {
  LAYERSCOPE_ASSIGN(const std::int64_t value, parse_integer(text, "layer"));
  const std::int64_t layer = value < 0 ? value + count + 1 : value;
  if (layer < 0 || layer > count) {
    return usage("no layer \"" + std::string(item) + "\": layers are 0 (embed) to " + std::to_string(count) +
                 " (final), or -1 to -" + std::to_string(count + 1));
  }
  return static_cast<int>(layer);
}

Result<std::vector<int>> layers_of_item(std::string_view item, int count) {
  std::vector<int> result;
  int first = 0, last = count;
  if (item != "all") {
    const std::size_t dots = item.find("..");
    LAYERSCOPE_ASSIGN(first, layer_number(trimmed(item.substr(0, dots)), count, item));
    last = first;
    if (dots != std::string_view::npos) {
      LAYERSCOPE_ASSIGN(last, layer_number(trimmed(item.substr(dots + 2)), count, item));
    }
    if (last < first)
      return usage("\"" + std::string(item) + "\" runs backwards: layer " + std::to_string(first) + " to " +
                   std::to_string(last));
  }
  for (int layer = first; layer <= last; ++layer) result.push_back(layer);
  return result;
}

}  // namespace

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  while (true) {
    const std::size_t cut = text.find_first_of(",;");
    items.push_back(trimmed(text.substr(0, cut)));
    if (cut == std::string_view::npos) return items;
    text.remove_prefix(cut + 1);
  }
}

Result<std::int64_t> parse_integer(std::string_view text, std::string_view what) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return usage("\"" + std::string(text) + "\" is no " + std::string(what) + " number");
  return value;
}

Result<LayerLists> parse_layers(std::string_view text, const std::array<int, 2>& layers) {
  std::array<std::set<int>, 2> chosen;
  std::array<bool, 2> scope = {layers[0] > 0, layers[1] > 0};
  for (std::string_view item : split_list(text)) {
    LAYERSCOPE_TRY(take_prefix(item, layers, scope));
    for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
      if (!scope[stack]) continue;
      LAYERSCOPE_ASSIGN(const std::vector<int> found, layers_of_item(item, layers[stack]));
      chosen[stack].insert(found.begin(), found.end());
    }
  }
  LayerLists lists;
  for (const std::size_t stack : {std::size_t{0}, std::size_t{1}})
    lists[stack].assign(chosen[stack].begin(), chosen[stack].end());
  return lists;
}

Result<MixLists> parse_mix(std::string_view text, const std::array<int, 2>& layers) {
  MixLists mix;
  if (text.find('=') == std::string_view::npos) {
    LAYERSCOPE_ASSIGN(const LayerLists lists, parse_layers(text, layers));
    for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
      for (const int layer : lists[stack])
        mix[stack].emplace_back(layer, 1.0F / static_cast<float>(lists[stack].size()));
    }
    return mix;
  }
  std::array<bool, 2> scope = {layers[0] > 0, layers[1] > 0};
  for (std::string_view item : split_list(text)) {
    LAYERSCOPE_TRY(take_prefix(item, layers, scope));
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos)
      return usage("--mix: \"" + std::string(item) + "\" has no weight, expected LAYER=WEIGHT");
    const std::string_view number = trimmed(item.substr(equals + 1));
    float weight = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), weight);
    if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(weight)) {
      return usage("--mix: \"" + std::string(number) + "\" is no finite weight");
    }
    for (const std::size_t stack : {std::size_t{0}, std::size_t{1}}) {
      if (!scope[stack]) continue;
      LAYERSCOPE_ASSIGN(const int layer,
                        layer_number(trimmed(item.substr(0, equals)), layers[stack], item.substr(0, equals)));
      for (const auto& [other, unused] : mix[stack]) {
        if (other == layer) return usage("--mix names layer " + std::to_string(layer) + " twice");
      }
      mix[stack].emplace_back(layer, weight);
    }
  }
  for (auto& list : mix) std::sort(list.begin(), list.end());
  return mix;
}

Result<PositionList> parse_positions(std::string_view text) {
  PositionList positions{.picked = text != "all"};
  if (text == "all") return positions;
  if (text == "first" || text == "last") {
    positions.list = {text == "first" ? 0 : -1};
    return positions;
  }
  if (text.starts_with("sample:")) {
    LAYERSCOPE_ASSIGN(positions.sample, parse_integer(text.substr(7), "sample"));
    if (positions.sample < 1)
      return usage("--positions \"" + std::string(text) + "\": expected at least 1 position a row");
    return positions;
  }
  for (const std::string_view item : split_list(text)) {
    LAYERSCOPE_ASSIGN(const std::int64_t value, parse_integer(item, "position"));
    if (value < INT32_MIN || value > INT32_MAX) return usage("\"" + std::string(item) + "\" is no position");
    positions.list.push_back(static_cast<std::int32_t>(value));
  }
  return positions;
}

}  // namespace layerscope
