// Names of repositories and their revisions, as typed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace layerscope {

/// "org/name@revision" taken apart. The parts name files below a cache, so they are checked first: no part of a path
/// in them goes up, is hidden or is absolute.
struct HubName {
  std::string repository;                    ///< "org/name", or "name" alone
  std::string revision;                      ///< "main" unless given
  [[nodiscard]] std::string folder() const;  ///< "models--org--name"
};

/// Nothing if `text` cannot be such a name.
[[nodiscard]] std::optional<HubName> parse_hub_name(std::string_view text);
/// The 40 hexadecimal digits of a commit.
[[nodiscard]] bool is_commit(std::string_view text) noexcept;

}  // namespace layerscope
