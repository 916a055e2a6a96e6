// The observable points of a model, from its spec.
#pragma once

#include "layerscope/tap.h"
#include "spec/spec.h"

namespace layerscope {

/// Every site of the model in the order of computation.
[[nodiscard]] SiteTable enumerate_sites(const ModelSpec& spec);

/// The names of a table's sites for messages, those of all blocks as one: "embed, block.{i}.attn.in, ...".
[[nodiscard]] std::string site_names(const SiteTable& table);

/// True if `name` matches the glob: `*` stays within one dotted part, `**` crosses dots.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view name) noexcept;

}  // namespace layerscope
