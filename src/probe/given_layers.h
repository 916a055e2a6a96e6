// Vectors that somebody else has in memory, as layers.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tensor.h"
#include "probe/layer_source.h"

namespace layerscope {

struct GivenLayer {
  std::string name;
  std::optional<int> hf_index;
  RowsView values;  ///< float32, [rows, width]
};

/// Errors: kUsage naming `name` for no layers, and for layers that differ in rows.
[[nodiscard]] Status check_given(const std::string& name, const std::vector<GivenLayer>& layers);

/// A source whose rows have one vector each. Errors: as check_given.
[[nodiscard]] Result<std::unique_ptr<LayerSource>> given_layers(std::string name, std::vector<GivenLayer> layers);

}  // namespace layerscope
