#include <algorithm>
#include <array>

#include "diff/hypotheses.h"

namespace layerscope {
namespace {

struct Named {
  Activation activation;
  const char* name;
};
constexpr std::array<Named, 9> kActivations = {{{Activation::kGeluErf, "gelu erf"},
                                                {Activation::kGeluTanh, "gelu tanh"},
                                                {Activation::kQuickGelu, "quick gelu"},
                                                {Activation::kSilu, "silu"},
                                                {Activation::kRelu, "relu"},
                                                {Activation::kReluSquared, "squared relu"},
                                                {Activation::kTanh, "tanh"},
                                                {Activation::kSigmoid, "sigmoid"},
                                                {Activation::kNone, "no activation"}}};

std::string name_of(Activation activation) {
  return std::ranges::find(kActivations, activation, &Named::activation)->name;
}

template <class M>
void swap_activations(std::size_t step, const Step& spec, const M& mixer, const std::string& own, Hypotheses& out) {
  for (const Named& other : kActivations) {
    if (own == other.name) continue;
    if (own == name_of(mixer.activation) && other.activation == mixer.activation) continue;
    out.variants.push_back({.site = spec.slot + ".act",
                            .kind = "activation",
                            .says = std::string(other.name) + " for " + own,
                            .apply = [step, activation = other.activation](BlockSetup& setup) {
                              M& changed = mixer_of<M>(setup, step);
                              changed.activation = activation;
                              if constexpr (requires { changed.xielu; }) changed.xielu.reset();
                              if constexpr (requires { changed.clamped; }) changed.clamped.reset();
                            }});
  }
}

}  // namespace

void suspect_activations(const BlockLab& lab, Hypotheses& out) {
  for_each_mixer<Mlp>(lab, [&](std::size_t s, const Step& step, const Mlp& mlp) {
    swap_activations(s, step, mlp, mlp.xielu ? "xielu" : name_of(mlp.activation), out);
    if (mlp.xielu) {
      out.variants.push_back(
          {.site = step.slot + ".act",
           .kind = "activation",
           .says = "xielu with its learned values in " + std::string(mlp.xielu->narrow ? "f32" : "bf16"),
           .apply = [s](BlockSetup& setup) {
             if (auto& xielu = mixer_of<Mlp>(setup, s).xielu) xielu->narrow = !xielu->narrow;
           }});
    }
  });
  for_each_mixer<Experts>(lab, [&](std::size_t s, const Step& step, const Experts& experts) {
    swap_activations(s, step, experts, experts.clamped ? "the clamped gate" : name_of(experts.activation), out);
    if (!experts.clamped) return;
    for (const auto& [limit, alpha, says] :
         {std::tuple{1e30F, experts.clamped->alpha, "the gate is not clamped"},
          std::tuple{experts.clamped->limit, 1.0F, "the clamped gate's sigmoid without its factor"}}) {
      out.variants.push_back({.site = step.slot + ".act",
                              .kind = "activation",
                              .says = says,
                              .apply = [s, limit = limit, alpha = alpha](BlockSetup& setup) {
                                mixer_of<Experts>(setup, s).clamped = ClampedGate{.limit = limit, .alpha = alpha};
                              }});
    }
  });
  for_each_mixer<TokenConv>(lab, [&](std::size_t s, const Step& step, const TokenConv& conv) {
    swap_activations(s, step, conv, name_of(conv.activation), out);
  });
}

}  // namespace layerscope
