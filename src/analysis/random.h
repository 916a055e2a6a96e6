// Random numbers that are the same on every machine and with every standard library.
#pragma once

#include <cstdint>

namespace layerscope {

/// SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"; the constants of
/// java.util.SplittableRandom).
class SplitMix64 {
 public:
  explicit SplitMix64(std::uint64_t seed) noexcept : state_(seed) {}

  [[nodiscard]] std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }
  /// Evenly from 0 ... bound - 1; `bound` is at least 1. Values that would favour some are drawn again.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept {
    const std::uint64_t reject = (0 - bound) % bound;  // 2^64 mod bound
    std::uint64_t value = next();
    while (value < reject) value = next();
    return value % bound;
  }
  /// In [0, 1): a multiple of 2^-53.
  [[nodiscard]] double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace layerscope
