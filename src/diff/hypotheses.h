// What implementations get wrong, a theme a file. Each adds what applies to the part at hand, the likelier first.
#pragma once

#include "diff/block_lab.h"
#include "diff/block_setup.h"

namespace layerscope {

void suspect_activations(const BlockLab& lab, Hypotheses& out);
void suspect_norms(const BlockLab& lab, Hypotheses& out);
void suspect_scores(const BlockLab& lab, Hypotheses& out);  ///< scale, softcap, sinks, distance terms, heads
void suspect_masks(const BlockLab& lab, Hypotheses& out);   ///< who sees whom
void suspect_rotations(const BlockLab& lab, Hypotheses& out);
void suspect_steps(const BlockLab& lab, Hypotheses& out);          ///< scales and order of steps, experts
void suspect_weights(const BlockLab& lab, Hypotheses& out);        ///< of the part itself
void suspect_other_weights(const BlockLab& lab, Hypotheses& out);  ///< those of other blocks
void suspect_precision(const BlockLab& lab, Hypotheses& out);
void suspect_embedding(const BlockLab& lab, Hypotheses& out);

/// Calls f(step index, step) for every step of the part.
template <class F>
void for_each_step(const BlockLab& lab, F&& f) {
  if (lab.base().stack.blocks.empty()) return;
  const std::vector<Step>& steps = lab.base().stack.blocks.front().steps;
  for (std::size_t s = 0; s < steps.size(); ++s) f(s, steps[s]);
}
/// Likewise f(step index, step, mixer) for those whose mixer is an M.
template <class M, class F>
void for_each_mixer(const BlockLab& lab, F&& f) {
  for_each_step(lab, [&](std::size_t s, const Step& step) {
    if (const M* mixer = std::get_if<M>(&step.mixer)) f(s, step, *mixer);
  });
}
template <class M>
[[nodiscard]] M& mixer_of(BlockSetup& setup, std::size_t step) {
  return *std::get_if<M>(&setup.step(step).mixer);
}

/// The site that a slot's tensor acts on first: "attn.q" of "block.0.attn.q.weight".
[[nodiscard]] std::string site_of_slot(const std::string& slot);

/// "1e-05", "0.125": a number in a sentence.
[[nodiscard]] std::string number_text(double value);

}  // namespace layerscope
