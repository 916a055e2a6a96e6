// Rotary position embeddings: which angles a head is turned by.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace layerscope {

/// Angles that do not depend on the sequence: default, linear, yarn and the like end here. Everything is float32
/// arithmetic in the order of transformers (src/transformers/modeling_rope_utils.py): a last bit of a frequency is a
/// visible angle after some thousand positions.
struct FixedFrequencies {
  std::vector<float> inverse;  ///< [pairs] radians a position
  float magnitude = 1;         ///< cosines and sines are multiplied by it (yarn)
};

/// Beyond `trained` positions the base grows with the sequence's own length ("dynamic", NTK-aware).
struct DynamicFrequencies {
  double theta = 0, factor = 1;
  std::int64_t trained = 0;
};

/// Two sets of divisors, for sequences up to `trained` positions and for longer ones ("longrope", Ding et al. 2024).
struct LongFrequencies {
  std::vector<float> short_inverse, long_inverse;  ///< [pairs]
  float magnitude = 1;
  std::int64_t trained = 0;
};

struct Rope {
  std::int64_t pairs = 0;    ///< pairs of elements that turn; the rest of a head stays
  bool interleaved = false;  ///< pairs are (2j, 2j+1) rather than (j, j + pairs)
  std::variant<FixedFrequencies, DynamicFrequencies, LongFrequencies> frequencies;
  std::string type = "default";  ///< as config.json calls it, for printing
};

/// theta^(2j / dims) for 2j < dims, in float32: what the frequencies of every type are made from.
[[nodiscard]] std::vector<float> rotation_powers(double theta, std::int64_t dims);

/// Inverse frequencies theta^(-2j / dims) of the plain rotation, 2j < dims. (Su et al. 2021)
[[nodiscard]] std::vector<float> plain_frequencies(double theta, std::int64_t dims);

/// The frequencies and the magnitude that hold for a sequence of `length` tokens.
[[nodiscard]] FixedFrequencies frequencies_for(const Rope& rope, std::int64_t length);
/// True if all lengths have the same frequencies.
[[nodiscard]] bool length_independent(const Rope& rope) noexcept;

}  // namespace layerscope
