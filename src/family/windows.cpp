#include "family/llama.h"

namespace layerscope {

std::function<std::optional<std::int64_t>(std::int64_t)> windows(Config& c, std::optional<std::int64_t> window,
                                                                 const std::function<bool(std::int64_t)>& rule) {
  const std::optional<std::vector<std::string>> types = c.texts("layer_types");
  const std::int64_t layers = c.layers("num_hidden_layers");
  if (!types) {
    return [window, rule](std::int64_t block) { return rule(block) ? window : std::nullopt; };
  }
  c.require(static_cast<std::int64_t>(types->size()) == layers, "\"layer_types\" does not name one type a layer");
  for (const std::string& type : *types) {
    c.require(type == "full_attention" || type == "sliding_attention",
              "\"layer_types\" names \"" + type + "\", expected full_attention or sliding_attention");
    c.require(type != "sliding_attention" || window.has_value(),
              "\"layer_types\" names \"sliding_attention\" but \"sliding_window\" is not set");
  }
  return [window, types = *types](std::int64_t block) {
    const auto at = static_cast<std::size_t>(block);
    return at < types.size() && types[at] == "sliding_attention" ? window : std::nullopt;
  };
}

}  // namespace layerscope
