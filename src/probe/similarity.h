// How alike the layers of a model are, and those of two models: docs/similarity.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/tap.h"
#include "probe/layer_source.h"

namespace layerscope {

/// Vectors whose dissimilarities are ranked, at most: half a million pairs.
inline constexpr std::int64_t kRankedVectors = 1000;
/// Most bytes that the products of layers may take.
inline constexpr std::uint64_t kSimilarityBytes = std::uint64_t{4} << 30;

struct SimilarityOptions {
  std::int64_t vectors = 0;  ///< 0: all of them; else as many are drawn and held, for layers too wide for products
  std::uint64_t seed = 0;    ///< of what is drawn
  int threads = 1;           ///< no number depends on it
};

/// One layer. Numbers that cannot be formed are NaN: of a layer without spread, or beside one of another width.
struct LayerFigures {
  bool of_b = false;
  StoredSite site;
  double norm = 0;            ///< mean Euclidean norm
  double cosine_before = 0;   ///< mean cosine to the layer before it on the same side
  double cosine_other = 0;    ///< mean cosine to the same layer of the other side
  double effective_rank = 0;  ///< of the centred vectors (analysis/eigenvalues.h)
  double anisotropy = 0;      ///< mean cosine of two different vectors (analysis/layer_sums.h)
};

struct SimilarityReport {
  std::int64_t rows = 0, vectors = 0;  ///< that went into the numbers
  std::int64_t ranked = 0;             ///< vectors behind `rsa`
  std::int64_t unmatched = 0;          ///< rows that only one side has, as far as both were read
  std::vector<LayerFigures> layers;    ///< A's, then B's
  std::vector<double> cka;             ///< [layers, layers] (analysis/alignment.h)
  std::vector<double> rsa;             ///< [layers, layers]: Spearman's correlation of dissimilarities
};

/// Bytes that the products of such layers take: of every two, in float64, or of every two vectors if that is less and
/// `vectors` are drawn. Nothing if they cannot be counted.
[[nodiscard]] std::optional<std::uint64_t> similarity_bytes(const std::vector<std::int64_t>& widths,
                                                            std::int64_t vectors);

/// Reads A, and B if it is there, once and side by side: rows of the same number, which have as many vectors on both
/// sides. Errors: kResource before anything is read if the products would take more than kSimilarityBytes or the memory
/// there is; kUsage for rows that do not go together, and where none does; kRuntime for values that are not finite; the
/// sources'.
[[nodiscard]] Result<SimilarityReport> measure_similarity(LayerSource& a, LayerSource* b,
                                                          const SimilarityOptions& options);

}  // namespace layerscope
