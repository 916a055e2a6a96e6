// What must hold of any model's description before memory is sized by it.
#pragma once

#include <string>

#include "layerscope/error.h"
#include "spec/spec.h"

namespace layerscope {

/// A family fills a spec from numbers that somebody else wrote; this is the one place that bounds what their products
/// may be. Errors: kModel, "FILE: ..." with the part of the model that cannot be.
[[nodiscard]] Status validate(const ModelSpec& spec, const std::string& file);

}  // namespace layerscope
