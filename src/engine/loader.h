// Takes a stack's weights out of the bindings. Internal to the engine.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/weights.h"

namespace layerscope {

class Loader {
 public:
  /// `prefix` of all slots: "", "enc." or "dec.".
  Loader(const Bindings& bindings, const Backend& backend, std::string prefix);

  [[nodiscard]] bool has(const std::string& slot) const { return slots_.contains(prefix_ + slot); }
  [[nodiscard]] const std::vector<MatrixView>& views(const std::string& slot) const;
  /// A slot's elements, row by row.
  [[nodiscard]] std::vector<float> elements(const std::string& slot) const;
  [[nodiscard]] std::unique_ptr<NormWeights> norm(const std::string& module, const std::optional<Norm>& spec) const;
  /// Matrices that read the same input, end to end. A module without a bias slot counts as one of zeros.
  [[nodiscard]] Result<std::unique_ptr<PackedLinear>> linear(const std::vector<std::string>& modules, bool biased,
                                                             Activation activation = Activation::kNone);
  /// A matrix that is laid out already.
  [[nodiscard]] Result<std::unique_ptr<PackedLinear>> pack(std::span<const MatrixView> parts,
                                                           std::span<const float> bias, Activation activation);

  std::size_t bytes = 0;  ///< packed so far

 private:
  const Backend& backend_;
  std::string prefix_;
  std::map<std::string, const Binding*, std::less<>> slots_;
};

/// The mixers' weights; `at` is the step's prefix, "block.3.mlp.".
[[nodiscard]] Result<std::unique_ptr<LatentWeights>> load_latent(Loader& loader, const std::string& at,
                                                                 const LatentProjection& latent);
[[nodiscard]] Result<MlpWeights> load_mlp(Loader& loader, const std::string& at, const Mlp& mlp);
[[nodiscard]] Result<std::unique_ptr<ExpertsWeights>> load_experts(Loader& loader, const std::string& at,
                                                                   const Experts& experts);
[[nodiscard]] Result<std::unique_ptr<ShortConvWeights>> load_short_conv(Loader& loader, const std::string& at,
                                                                        const ShortConv& conv);
[[nodiscard]] Result<std::unique_ptr<TokenConvWeights>> load_token_conv(Loader& loader, const std::string& at,
                                                                        const TokenConv& conv);

}  // namespace layerscope
