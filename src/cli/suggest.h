// "Did you mean ...?"
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace layerscope::cli {

/// Edit distance with insertions, deletions, substitutions and swaps of neighbours, each at cost 1
/// (Damerau 1964, optimal string alignment).
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, or empty if none is near enough to be meant.
[[nodiscard]] std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

/// " (did you mean X?)" or empty.
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace layerscope::cli
