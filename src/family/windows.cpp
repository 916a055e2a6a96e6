#include "family/llama.h"

namespace layerscope {

std::vector<bool> sliding_layers(Config& c, const std::function<bool(std::int64_t)>& rule) {
  const std::int64_t layers = c.layers("num_hidden_layers");
  std::vector<bool> sliding(static_cast<std::size_t>(layers));
  const std::optional<std::vector<std::string>> types = c.texts("layer_types");
  if (!types) {
    for (std::int64_t block = 0; block < layers; ++block) sliding[static_cast<std::size_t>(block)] = rule(block);
    return sliding;
  }
  c.require(types->size() == sliding.size(), "\"layer_types\" does not name one type a layer");
  for (std::size_t block = 0; block < std::min(types->size(), sliding.size()); ++block) {
    const std::string& type = (*types)[block];
    sliding[block] = type == "sliding_attention";
    c.require(sliding[block] || type == "full_attention",
              "\"layer_types\" names \"" + type + "\", expected full_attention or sliding_attention");
  }
  return sliding;
}

std::function<std::optional<std::int64_t>(std::int64_t)> windows(Config& c, std::optional<std::int64_t> window,
                                                                 const std::function<bool(std::int64_t)>& rule) {
  const auto slides = [&](std::int64_t block) { return window.has_value() && rule(block); };
  const std::vector<bool> sliding = sliding_layers(c, slides);
  for (const bool block : sliding) {
    c.require(!block || window.has_value(),
              "\"layer_types\" names \"sliding_attention\" but \"sliding_window\" is not set");
  }
  return [window, sliding](std::int64_t block) {
    return sliding[static_cast<std::size_t>(block)] ? window : std::nullopt;
  };
}

}  // namespace layerscope
