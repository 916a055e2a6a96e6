// The affine map that turns one set of vectors best into another: weighted least squares with a ridge, from moments
// that are gathered a batch at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace layerscope {

/// An input, what it should become, each [width], and how much that counts.
struct WeightedPair {
  const float* x = nullptr;
  const float* target = nullptr;
  double weight = 1;
};

/// Weighted sums over pairs of an input x and a residual r = target - x, both [width]. Summed in float64, in the order
/// in which pairs are added: the same pairs give the same bits, in however many calls they come.
class ResidualMoments {
 public:
  ResidualMoments() = default;
  explicit ResidualMoments(std::int64_t width);
  void add(std::span<const WeightedPair> pairs);
  void add(const ResidualMoments& other);

  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  [[nodiscard]] std::int64_t pairs() const noexcept { return pairs_; }
  /// Bytes that one of these holds.
  [[nodiscard]] static std::uint64_t bytes(std::int64_t width) noexcept;

 private:
  friend class ResidualFit;
  std::int64_t width_ = 0, pairs_ = 0;
  double weight_ = 0;
  double rr_ = 0;                // sum of w r.r
  std::vector<double> x_, r_;    // sums of w x, w r
  std::vector<double> xx_, xr_;  // [width, width]: w x x' (lower triangle), w x r'
};

/// x -> x + D x + c.
struct ResidualMap {
  std::vector<float> turn;   ///< D, [width, width], row-major
  std::vector<float> shift;  ///< c, [width]
};

/// D and c that minimise sum w |r - D x - c|^2 + ridge * mean(diagonal of x's covariance) * weight * |D|^2: with a
/// large ridge the identity is left, up to a shift. Solved by Cholesky's method.
class ResidualFit {
 public:
  /// Nothing if the moments hold no pair.
  [[nodiscard]] static std::optional<ResidualMap> solve(const ResidualMoments& moments, double ridge);
  /// Mean of w |r - D x - c|^2 over the pairs of the moments; of w |r|^2 without a map.
  [[nodiscard]] static double error(const ResidualMoments& moments, const ResidualMap* map);
};

}  // namespace layerscope
