// How alike layers are, as people and programs read it.
#pragma once

#include <string>

#include "probe/similarity.h"
#include "view/terminal.h"

namespace layerscope {

/// A report and what was compared; `b` empty: A's layers among themselves.
struct SimilarityView {
  std::string a, b;
  std::uint64_t seed = 0;
  const SimilarityReport& report;
  [[nodiscard]] std::size_t of_a() const noexcept;  ///< layers of A
};

/// A layer on its side: "embed", "3", "final", or the site's name where it is no layer.
[[nodiscard]] std::string layer_name(const StoredSite& site);
/// "linear CKA of every two layers", and of how many vectors.
[[nodiscard]] std::string similarity_title(const SimilarityView& view, std::string_view measure);

/// One JSON object, ending in a newline. Numbers that cannot be formed are null.
[[nodiscard]] std::string similarity_json(const SimilarityView& view);
/// Two heat maps and a line a layer.
[[nodiscard]] std::string similarity_picture(const SimilarityView& view, const Terminal& terminal);
/// The same as one page.
[[nodiscard]] std::string similarity_page(const SimilarityView& view);

}  // namespace layerscope
