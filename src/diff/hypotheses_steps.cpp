#include <cmath>

#include "diff/hypotheses.h"
#include "diff/slot_changes.h"

namespace layerscope {
namespace {

void suspect_step_scale(std::size_t s, const Step& step, Hypotheses& out) {
  out.scalars.push_back(
      {.site = step.slot + ".out",
       .kind = "scale",
       .name = "the scale of what " + step.slot + " adds",
       .ours = step.scale,
       .tried = {1, 0.5, 2, 0.1, 0.22, std::sqrt(0.5), std::sqrt(2.0), 0.9, 1.1, -1},
       .apply = [s](BlockSetup& setup, double value) { setup.step(s).scale = static_cast<float>(value); }});
  out.variants.push_back({.site = step.slot + ".out",
                          .kind = "scale",
                          .says = "what " + step.slot + " makes is left out",
                          .apply = [s](BlockSetup& setup) { setup.step(s).scale = 0; }});
}

void suspect_order(const BlockLab& lab, Hypotheses& out) {
  const std::vector<Step>& steps = lab.base().stack.blocks.front().steps;
  for (std::size_t s = 1; s < steps.size(); ++s) {
    const bool parallel = steps[s].reads == Step::Reads::kBlockInput;
    out.variants.push_back(
        {.site = steps[s].slot + ".in",
         .kind = "norm",
         .says = parallel ? steps[s].slot + " reads what " + steps[s - 1].slot + " left rather than the block's input"
                          : steps[s].slot + " reads the block's input rather than what " + steps[s - 1].slot + " left",
         .apply = [s, parallel](BlockSetup& setup) {
           setup.step(s).reads = parallel ? Step::Reads::kStream : Step::Reads::kBlockInput;
         }});
  }
  if (steps.size() != 2) return;
  out.variants.push_back({.site = steps[0].slot + ".in",
                          .kind = "norm",
                          .says = steps[1].slot + " goes before " + steps[0].slot,
                          .apply =
                              [](BlockSetup& setup) {
                                if (!setup.step(1).same_pre) std::swap(setup.step(0), setup.step(1));
                              },
                          .alone = true});
}

void suspect_experts(std::size_t s, const Step& step, const Experts& experts, Hypotheses& out) {
  const auto add = [&](const char* site, const std::string& says, std::function<void(Experts&)> apply) {
    out.variants.push_back(
        {.site = step.slot + site,
         .kind = "scale",
         .says = says,
         .apply = [s, apply = std::move(apply)](BlockSetup& setup) { apply(mixer_of<Experts>(setup, s)); }});
  };
  const Router& router = experts.router;
  add(".router",
      router.renormalise ? "the chosen experts' weights are not divided by their sum"
                         : "the chosen experts' weights are divided by their sum",
      [](Experts& e) { e.router.renormalise = !e.router.renormalise; });
  if (router.scale != 1) add(".router", "the experts' weights are not scaled", [](Experts& e) { e.router.scale = 1; });
  using Rule = Router::Rule;
  for (const auto& [rule, says] : {std::pair{Rule::kSoftmaxThenTop, "the softmax is over all experts"},
                                   std::pair{Rule::kTopThenSoftmax, "the softmax is over the chosen experts"}}) {
    if (rule != router.rule) add(".router", says, [rule = rule](Experts& e) { e.router.rule = rule; });
  }
  for (const std::int64_t chosen : {router.chosen - 1, router.chosen + 1, std::int64_t{1}, std::int64_t{2}}) {
    if (chosen < 1 || chosen > router.experts || chosen == router.chosen) continue;
    add(".router",
        "a token goes to " + std::to_string(chosen) + " experts rather than " + std::to_string(router.chosen),
        [chosen](Experts& e) { e.router.chosen = chosen; });
  }
  if (router.groups > 1)
    add(".router", "experts are chosen without groups",
        [](Experts& e) { e.router.groups = e.router.chosen_groups = 1; });
  if (router.bias) add(".router", "the router has no bias", [](Experts& e) { e.router.bias = false; });
  if (router.rule == Rule::kSigmoidGroups) {
    out.variants.push_back({.site = step.slot + ".router",
                            .kind = "bias",
                            .says = "the router's correction is left out",
                            .apply = [slot = "block.0." + step.slot + ".router.correction.weight"](BlockSetup& setup) {
                              fill(setup, slot, 0);
                            }});
  }
  if (experts.shared) {
    add(".out", "the expert of all tokens is left out", [](Experts& e) { e.shared.reset(); });
    if (experts.shared->gated)
      add(".out", "the expert of all tokens is not gated", [](Experts& e) {
        if (e.shared) e.shared->gated = false;
      });
  }
}

}  // namespace

void suspect_steps(const BlockLab& lab, Hypotheses& out) {
  if (lab.base().stack.blocks.empty()) return;
  for_each_step(lab, [&](std::size_t s, const Step& step) { suspect_step_scale(s, step, out); });
  suspect_order(lab, out);
  for_each_mixer<Experts>(lab,
                          [&](std::size_t s, const Step& step, const Experts& e) { suspect_experts(s, step, e, out); });
}

}  // namespace layerscope
