// How much memory there is.
#pragma once

#include <cstdint>
#include <optional>

namespace layerscope {

/// Bytes that this process may still take without others being pushed out: what the system calls available, or what the
/// control group leaves, whichever is less. Nothing where neither is known.
[[nodiscard]] std::optional<std::uint64_t> available_memory();

}  // namespace layerscope
