// How alike layers are as wholes: linear centred kernel alignment (Kornblith, Norouzi, Lee and Hinton 2019, "Similarity
// of neural network representations revisited", equation 5), and the effective rank of each.
//
// With X and Y the centred vectors of two layers, CKA = |X'Y|^2 / (|X'X| |Y'Y|) in Frobenius norms. The products are
// either gathered feature by feature, for any number of vectors (CrossMoments), or vector by vector, where few vectors
// are wider than they are many (align_sample): |X'Y|^2 = <XX', YY'>. All in float64.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "layerscope/error.h"

namespace layerscope {

struct LayerAlignment {
  std::vector<double> cka;             ///< [layers, layers], symmetric; NaN where a layer does not vary
  std::vector<double> effective_rank;  ///< of each layer's centred vectors; NaN where it does not vary
};

/// Products of every two layers, gathered as vectors come. The bits depend neither on how vectors are cut into calls
/// nor on threads.
class CrossMoments {
 public:
  CrossMoments(std::vector<std::int64_t> widths, int threads);
  /// Bytes of all products; nothing if they cannot be counted.
  [[nodiscard]] static std::optional<std::uint64_t> bytes(std::span<const std::int64_t> widths);

  /// layers[k]: [rows, widths[k]], finite. Errors: kResource.
  [[nodiscard]] Status add(std::span<const float* const> layers, std::int64_t rows);
  /// Errors: kResource.
  [[nodiscard]] Result<LayerAlignment> finish();

 private:
  struct Pair {
    std::size_t a = 0, b = 0;
    std::vector<double> products;  // [widths[a], widths[b]] of vectors less shift_
  };
  Status flush();
  [[nodiscard]] std::vector<double> shifted(std::size_t layer, std::int64_t first, std::int64_t rows) const;
  void centre(Pair& pair) const;

  std::vector<std::int64_t> widths_;
  int threads_;
  std::int64_t rows_ = 0, waiting_rows_ = 0;
  std::vector<std::vector<float>> waiting_;  // by layer
  std::vector<std::vector<double>> shift_;   // by layer: the mean of the first vectors, so that large means cancel
  std::vector<std::vector<double>> sums_;    // by layer: of vectors less shift_
  std::vector<Pair> pairs_;
};

/// The same of vectors that are all there: layers[k] is [rows, widths[k]]. Errors: kResource.
[[nodiscard]] Result<LayerAlignment> align_sample(std::span<const std::vector<float>> layers,
                                                  std::span<const std::int64_t> widths, std::int64_t rows, int threads);
/// Bytes that align_sample takes beside the vectors.
[[nodiscard]] std::optional<std::uint64_t> sample_alignment_bytes(std::size_t layers, std::int64_t rows);

}  // namespace layerscope
