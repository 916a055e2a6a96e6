// Weights of the mixers beside attention and the plain MLP.
#include "base/try.h"
#include "engine/loader.h"

namespace layerscope {

Result<std::unique_ptr<LatentWeights>> load_latent(Loader& loader, const std::string& at,
                                                   const LatentProjection& latent) {
  auto weights = std::make_unique<LatentWeights>();
  const std::string q = at + (latent.q_rank ? "q_down" : "q");
  LAYERSCOPE_ASSIGN(weights->in, loader.linear({q, at + "kv_down"}, latent.bias));
  if (latent.q_rank) {
    LAYERSCOPE_ASSIGN(weights->q_up, loader.linear({at + "q_up"}, false));
    weights->q_norm = loader.norm(at + "q_down_norm", latent.norm);
  }
  LAYERSCOPE_ASSIGN(weights->kv_up, loader.linear({at + "kv_up"}, false));
  weights->kv_norm = loader.norm(at + "kv_down_norm", latent.norm);
  return weights;
}

Result<std::unique_ptr<ExpertsWeights>> load_experts(Loader& loader, const std::string& at, const Experts& experts) {
  auto weights = std::make_unique<ExpertsWeights>();
  LAYERSCOPE_ASSIGN(weights->router, loader.linear({at + "router"}, experts.router.bias));
  if (loader.has(at + "router.correction.weight"))
    weights->correction = loader.elements(at + "router.correction.weight");
  Mlp mlp{.hidden = experts.hidden, .activation = experts.activation, .gated = true, .bias = experts.bias};
  for (std::int64_t e = 0; e < experts.router.experts; ++e) {
    LAYERSCOPE_ASSIGN(MlpWeights expert, load_mlp(loader, at + "experts." + std::to_string(e) + ".", mlp));
    weights->experts.push_back(std::move(expert));
  }
  if (!experts.shared) return weights;
  mlp.bias = false;
  LAYERSCOPE_ASSIGN(weights->shared, load_mlp(loader, at + "shared.", mlp));
  if (experts.shared->gated) {
    LAYERSCOPE_ASSIGN(weights->shared_gate, loader.linear({at + "shared_gate"}, false, Activation::kSigmoid));
  }
  return weights;
}

Result<std::unique_ptr<ShortConvWeights>> load_short_conv(Loader& loader, const std::string& at,
                                                          const ShortConv& conv) {
  auto weights = std::make_unique<ShortConvWeights>();
  LAYERSCOPE_ASSIGN(weights->in, loader.linear({at + "in"}, conv.bias));
  LAYERSCOPE_ASSIGN(weights->out, loader.linear({at + "out"}, conv.bias));
  weights->taps = loader.elements(at + "taps.weight");
  if (conv.bias) weights->bias = loader.elements(at + "taps.bias");
  return weights;
}

Result<std::unique_ptr<TokenConvWeights>> load_token_conv(Loader& loader, const std::string& at,
                                                          const TokenConv& conv) {
  auto weights = std::make_unique<TokenConvWeights>();
  const std::vector<float> stored = loader.elements(at + "taps.weight");
  const std::vector<float> bias = loader.elements(at + "taps.bias");
  const std::size_t taps = static_cast<std::size_t>(conv.taps), groups = static_cast<std::size_t>(conv.groups);
  const std::size_t outputs = bias.size() / groups, inputs = outputs;
  for (std::size_t group = 0; group < groups; ++group) {
    std::vector<float> matrix(outputs * inputs * taps);
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i) {
        for (std::size_t tap = 0; tap < taps; ++tap)
          matrix[(o * taps + tap) * inputs + i] = stored[((group * outputs + o) * inputs + i) * taps + tap];
      }
    }
    const MatrixView view{.data = reinterpret_cast<const std::byte*>(matrix.data()),
                          .outputs = static_cast<std::int64_t>(outputs),
                          .inputs = static_cast<std::int64_t>(inputs * taps),
                          .output_stride = static_cast<std::int64_t>(inputs * taps),
                          .input_stride = 1};
    LAYERSCOPE_ASSIGN(
        std::unique_ptr<PackedLinear> packed,
        loader.pack(std::span(&view, 1), std::span(bias).subspan(group * outputs, outputs), conv.activation));
    weights->groups.push_back(std::move(packed));
  }
  return weights;
}

}  // namespace layerscope
