// Every model family there is.
#pragma once

#include <span>
#include <string_view>

#include "spec/bind.h"

namespace layerscope {

/// All families, one entry a file of this folder.
[[nodiscard]] std::span<const Family* const> families();
/// The family of a config's model_type, or null.
[[nodiscard]] const Family* family_of(std::string_view model_type);

extern const Family kBert, kDeberta, kGpt2, kLlama, kMistral, kQwen, kT5;

}  // namespace layerscope
