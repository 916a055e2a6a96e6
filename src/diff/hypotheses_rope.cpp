#include <algorithm>
#include <cmath>

#include "diff/hypotheses.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

// The base that plain frequencies of these are made from, or nothing.
std::optional<double> base_of(const Rope& rope) {
  const auto* fixed = std::get_if<FixedFrequencies>(&rope.frequencies);
  if (fixed == nullptr || fixed->inverse.size() < 2 || !(fixed->inverse[1] > 0)) return std::nullopt;
  const auto pairs = static_cast<double>(fixed->inverse.size());
  return std::pow(static_cast<double>(fixed->inverse[0]) / static_cast<double>(fixed->inverse[1]), pairs);
}

void rebase(Rope& rope, double base) {
  FixedFrequencies frequencies{.inverse = plain_frequencies(base, 2 * rope.pairs)};
  if (const auto* fixed = std::get_if<FixedFrequencies>(&rope.frequencies)) frequencies.magnitude = fixed->magnitude;
  rope.frequencies = frequencies;
}

using Change = std::function<void(Attention&)>;

struct Adder {
  std::size_t step;
  std::string slot;
  bool rotated;  // the changes are made to attentions that are
  Hypotheses& out;
  void operator()(const std::string& says, Change apply) const {
    out.variants.push_back({.site = slot + ".q",
                            .kind = "rope",
                            .says = says,
                            .apply = [s = step, rotated = rotated, apply = std::move(apply)](BlockSetup& setup) {
                              setup.stack.rotation.reset();  // what a checkpoint brings along would hold instead
                              Attention& changed = mixer_of<Attention>(setup, s);
                              if (changed.rope.has_value() == rotated) apply(changed);
                            }});
  }
};

void suspect_frequencies(const Adder& add, const Rope& rope, Hypotheses& out) {
  const std::optional<double> base = base_of(rope);
  out.scalars.push_back({.site = add.slot + ".q",
                         .kind = "rope",
                         .name = "the rotation's base",
                         .ours = base.value_or(NAN),
                         .tried = {1e4, 5e5, 1e6, 1e5, 2e4, 5e3, 1e3, 16e4, 2e6, 5e6, 8e6, 1e7, 25e4, 5e4, 100},
                         .apply = [s = add.step](BlockSetup& setup, double value) {
                           setup.stack.rotation.reset();
                           Attention& changed = mixer_of<Attention>(setup, s);
                           if (changed.rope) rebase(*changed.rope, value);
                         }});
  for (const double factor : {2.0, 4.0, 8.0, 16.0, 32.0, 0.5, 0.25, 0.125}) {
    add(factor > 1 ? "positions are divided by " + number_text(factor) + " before the rotation"
                   : "positions are multiplied by " + number_text(1 / factor) + " before the rotation",
        [factor](Attention& a) {
          if (auto* fixed = std::get_if<FixedFrequencies>(&a.rope->frequencies)) {
            for (float& inverse : fixed->inverse) inverse /= static_cast<float>(factor);
          }
        });
  }
  const auto* fixed = std::get_if<FixedFrequencies>(&rope.frequencies);
  if (fixed == nullptr) return;
  if (fixed->magnitude != 1)
    add("cosines and sines are not scaled by " + number_text(fixed->magnitude), [](Attention& a) {
      if (auto* own = std::get_if<FixedFrequencies>(&a.rope->frequencies)) own->magnitude = 1;
    });
  for (const Rounding rounding : {Rounding::kBF16, Rounding::kF16}) {
    out.variants.push_back({.site = add.slot + ".q",
                            .kind = "precision",
                            .says = "the rotation's frequencies are rounded to " + rounding_name(rounding),
                            .apply = [s = add.step, rounding](BlockSetup& setup) {
                              Attention& changed = mixer_of<Attention>(setup, s);
                              auto* own =
                                  changed.rope ? std::get_if<FixedFrequencies>(&changed.rope->frequencies) : nullptr;
                              if (own == nullptr) return;
                              for (float& inverse : own->inverse) inverse = rounded(rounding, inverse);
                            }});
  }
}

void suspect_pairs(const Adder& add, const Attention& attention) {
  const Rope& rope = *attention.rope;
  add(rope.interleaved ? "the rotation pairs the halves of a head rather than neighbours"
                       : "the rotation pairs neighbours (interleaved) rather than the halves of a head",
      [](Attention& a) { a.rope->interleaved = !a.rope->interleaved; });
  add("queries and keys are not rotated", [](Attention& a) { a.rope.reset(); });
  add("the rotation turns the other way", [](Attention& a) {
    if (auto* fixed = std::get_if<FixedFrequencies>(&a.rope->frequencies)) {
      for (float& inverse : fixed->inverse) inverse = -inverse;
    }
  });
  const double base = base_of(rope).value_or(1e4);
  if (attention.latent) return;
  const std::int64_t most = attention.d_qk / 2;
  for (const std::int64_t pairs : {most, most / 2, most / 4, rope.pairs / 2, rope.pairs * 2}) {
    if (pairs < 1 || pairs > most || pairs == rope.pairs) continue;
    const std::string says = "the rotation turns " + std::to_string(2 * pairs) + " elements of a head rather than " +
                             std::to_string(2 * rope.pairs);
    add(says, [pairs, base](Attention& a) {
      a.rope->pairs = pairs;
      rebase(*a.rope, base);
    });
  }
  if (rope.pairs < most)
    add("the rotation's frequencies are made for the whole head", [base, width = attention.d_qk](Attention& a) {
      FixedFrequencies frequencies{.inverse = plain_frequencies(base, width)};
      frequencies.inverse.resize(static_cast<std::size_t>(a.rope->pairs));
      a.rope->frequencies = frequencies;
    });
  if (attention.d_v == attention.d_qk)
    add(attention.rotate_values ? "values are not rotated" : "values are rotated too",
        [](Attention& a) { a.rotate_values = !a.rotate_values; });
}

// The rotations of the stack's other blocks.
void suspect_neighbours(const Adder& add, const BlockLab& lab, const Rope& own) {
  std::vector<const Rope*> seen = {&own};
  const auto same = [](const Rope& a, const Rope& b) {
    const auto *x = std::get_if<FixedFrequencies>(&a.frequencies), *y = std::get_if<FixedFrequencies>(&b.frequencies);
    return a.pairs == b.pairs && a.interleaved == b.interleaved && x != nullptr && y != nullptr &&
           x->inverse == y->inverse && x->magnitude == y->magnitude;
  };
  const std::vector<Block>& blocks = lab.live().state().spec.stack(lab.stack()).blocks;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    for (const Step& step : blocks[b].steps) {
      const auto* attention = std::get_if<Attention>(&step.mixer);
      if (attention == nullptr || !attention->rope || attention->rope->pairs != own.pairs) continue;
      if (std::ranges::any_of(seen, [&](const Rope* rope) { return same(*rope, *attention->rope); })) continue;
      if (seen.size() > 4) return;
      seen.push_back(&*attention->rope);
      add("the rotation is that of block " + std::to_string(b),
          [rope = *attention->rope](Attention& a) { a.rope = rope; });
    }
  }
}

}  // namespace

void suspect_rotations(const BlockLab& lab, Hypotheses& out) {
  for_each_mixer<Attention>(lab, [&](std::size_t s, const Step& step, const Attention& attention) {
    const Adder add{s, step.slot, attention.rope.has_value(), out};
    if (attention.rope) {
      suspect_pairs(add, attention);
      suspect_frequencies(add, *attention.rope, out);
      suspect_neighbours(add, lab, *attention.rope);
      return;
    }
    const bool others = std::ranges::any_of(lab.live().state().spec.stack(lab.stack()).blocks, [](const Block& block) {
      return std::ranges::any_of(block.steps, [](const Step& other) {
        const auto* of_other = std::get_if<Attention>(&other.mixer);
        return of_other != nullptr && of_other->rope;
      });
    });
    if (!others || attention.keys == KeySource::kEncoder) return;
    for (const Block& block : lab.live().state().spec.stack(lab.stack()).blocks) {
      for (const Step& other : block.steps) {
        const auto* of_other = std::get_if<Attention>(&other.mixer);
        if (of_other == nullptr || !of_other->rope || of_other->d_qk != attention.d_qk) continue;
        add("queries and keys are rotated, as in other blocks",
            [rope = *of_other->rope](Attention& a) { a.rope = rope; });
        return;
      }
    }
  });
}

}  // namespace layerscope
