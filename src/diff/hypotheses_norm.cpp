#include <cmath>
#include <functional>

#include "diff/hypotheses.h"
#include "diff/slot_changes.h"

namespace layerscope {
namespace {

using Find = std::function<std::optional<Norm>*(BlockSetup&)>;

// One norm of the part.
struct Place {
  std::string site, module, what;
  Find find;
  Norm norm;
  bool final = false;
  bool only_alternative = true;  // may be left out
};

std::vector<Place> places(const BlockLab& lab) {
  std::vector<Place> all;
  for_each_step(lab, [&](std::size_t s, const Step& step) {
    const auto add = [&](const char* part, const char* site, std::optional<Norm> Step::*member) {
      if (!(step.*member)) return;
      all.push_back({.site = step.slot + "." + site,
                     .module = step.slot + "." + part,
                     .what = "the norm " + step.slot + "." + part,
                     .find = [s, member](BlockSetup& setup) { return &(setup.step(s).*member); },
                     .norm = *(step.*member)});
    };
    if (!step.same_pre) add("pre", "in", &Step::pre);
    add("post", "out", &Step::post);
    add("after", "sum", &Step::after);
  });
  const Stack& stack = lab.base().stack;
  if (stack.top)
    all.push_back({.site = "final",
                   .module = "top",
                   .what = "the final norm",
                   .find = [](BlockSetup& setup) { return &setup.stack.top; },
                   .norm = *stack.top,
                   .final = true});
  if (stack.embedding.norm)
    all.push_back({.site = "embed",
                   .module = "embed.norm",
                   .what = "the embedding's norm",
                   .find = [](BlockSetup& setup) { return &setup.stack.embedding.norm; },
                   .norm = *stack.embedding.norm});
  return all;
}

// The norm of a setup, where it still has one there.
Norm* norm_of(BlockSetup& setup, const Find& find) {
  std::optional<Norm>* norm = find(setup);
  return norm->has_value() ? &**norm : nullptr;
}

std::string slot_of(const Place& place) {
  return place.module == "top" || place.module == "embed.norm" ? place.module : "block.0." + place.module;
}

void suspect_epsilon(const Place& place, Hypotheses& out) {
  out.scalars.push_back({.site = place.site,
                         .kind = "eps",
                         .name = "epsilon of " + place.what,
                         .ours = place.norm.epsilon,
                         .tried = {1e-5, 1e-6, 1e-12, 1e-8, 0, 1e-7, 1e-4, 1e-3, 1e-2, 0.1},
                         .apply = [find = place.find](BlockSetup& setup, double value) {
                           if (Norm* norm = norm_of(setup, find)) norm->epsilon = static_cast<float>(value);
                         }});
}

void suspect_parameters(const Place& place, Hypotheses& out) {
  const auto add = [&](const char* kind, const std::string& says, std::function<void(BlockSetup&)> apply) {
    out.variants.push_back({.site = place.site, .kind = kind, .says = says, .apply = std::move(apply)});
  };
  const char* kind = place.final ? "final_norm" : "norm";
  const Find& find = place.find;
  add(kind, place.what + " is left out", [find](BlockSetup& setup) { find(setup)->reset(); });
  const bool layer = place.norm.kind == NormKind::kLayer;
  add(kind, place.what + (layer ? " does not subtract the mean (RMS)" : " subtracts the mean"),
      [find, layer](BlockSetup& setup) {
        if (Norm* norm = norm_of(setup, find)) norm->kind = layer ? NormKind::kRms : NormKind::kLayer;
      });
  if (place.norm.weight) {
    add(kind, place.what + (place.norm.offset != 0 ? " does not add 1 to its weights" : " adds 1 to its weights"),
        [find](BlockSetup& setup) {
          if (Norm* norm = norm_of(setup, find)) norm->offset = norm->offset != 0 ? 0.0F : 1.0F;
        });
    add(kind, place.what + " has no weights",
        [slot = slot_of(place) + ".weight", one = 1 - place.norm.offset](BlockSetup& setup) {
          fill(setup, slot, one);
        });
    if (place.norm.bias)
      add(kind, place.what + " has neither weights nor biases", [find](BlockSetup& setup) {
        if (Norm* norm = norm_of(setup, find)) norm->weight = false;
      });
  }
  if (place.norm.bias)
    add("bias", place.what + " has no bias", [find](BlockSetup& setup) {
      if (Norm* norm = norm_of(setup, find)) norm->bias = false;
    });
  if (place.norm.weight && place.norm.bias) {
    add("weights", place.what + " has its weights and biases exchanged", [slot = slot_of(place)](BlockSetup& setup) {
      std::swap(setup.weights[slot + ".weight"], setup.weights[slot + ".bias"]);
    });
  }
  add(kind, place.what + " is done twice", [m = place.module](BlockSetup& s) { s.norms[m].twice = true; });
  if (layer)
    add(kind, place.what + " divides its variance by n - 1",
        [m = place.module](BlockSetup& s) { s.norms[m].unbiased = true; });
  add("eps", place.what + " adds epsilon outside of the root",
      [m = place.module](BlockSetup& s) { s.norms[m].outside = true; });
}

// Two norms that have been exchanged.
void suspect_exchanges(const std::vector<Place>& norms, Hypotheses& out) {
  for (std::size_t a = 0; a < norms.size(); ++a) {
    for (std::size_t b = a + 1; b < norms.size(); ++b) {
      if (!norms[a].norm.weight || !norms[b].norm.weight) continue;
      out.variants.push_back({.site = norms[a].site,
                              .kind = "weights",
                              .says = "the weights of " + norms[a].what + " and " + norms[b].what + " are exchanged",
                              .apply = [a = slot_of(norms[a]), b = slot_of(norms[b])](BlockSetup& setup) {
                                for (const char* leaf : {".weight", ".bias"}) {
                                  if (setup.weights.contains(a + leaf) && setup.weights.contains(b + leaf))
                                    std::swap(setup.weights[a + leaf], setup.weights[b + leaf]);
                                }
                              }});
    }
  }
}

// Where a norm stands in its step.
void suspect_places(const BlockLab& lab, Hypotheses& out) {
  for_each_step(lab, [&](std::size_t s, const Step& step) {
    const std::string slot = "block.0." + step.slot + ".";
    const auto move = [&](const char* from, std::optional<Norm> Step::*a, const char* to, std::optional<Norm> Step::*b,
                          const std::string& site, const std::string& says) {
      if (!(step.*a) || step.*b || step.same_pre) return;
      out.variants.push_back({.site = step.slot + site, .kind = "norm", .says = says, .apply = [=](BlockSetup& setup) {
                                Step& changed = setup.step(s);
                                changed.*b = changed.*a;
                                (changed.*a).reset();
                                for (const char* leaf : {".weight", ".bias"}) {
                                  const auto found = setup.weights.find(slot + from + leaf);
                                  if (found != setup.weights.end()) setup.weights[slot + to + leaf] = found->second;
                                }
                              }});
    };
    move("pre", &Step::pre, "after", &Step::after, ".in",
         "the norm stands behind the sum rather than before " + step.slot);
    move("pre", &Step::pre, "post", &Step::post, ".in",
         "the norm stands behind " + step.slot + " rather than before it");
    move("after", &Step::after, "pre", &Step::pre, ".sum",
         "the norm stands before " + step.slot + " rather than behind the sum");
    move("post", &Step::post, "after", &Step::after, ".out", "the norm stands behind the sum rather than before it");
    move("post", &Step::post, "pre", &Step::pre, ".out",
         "the norm stands before " + step.slot + " rather than behind it");
    if (!step.pre) return;
    out.variants.push_back(
        {.site = step.slot + ".in",
         .kind = "norm",
         .says = step.carries_pre ? "the sum goes on from the stream rather than from the normed stream"
                                  : "the sum goes on from the normed stream",
         .apply = [s](BlockSetup& setup) { setup.step(s).carries_pre = !setup.step(s).carries_pre; }});
  });
}

// Norms over queries and keys.
void suspect_head_norms(const BlockLab& lab, Hypotheses& out) {
  for_each_mixer<Attention>(lab, [&](std::size_t s, const Step& step, const Attention& attention) {
    if (!attention.q_norm && !attention.k_norm) return;
    const auto add = [&](const char* letter, const char* kind, const std::string& says,
                         std::function<void(Attention&)> apply) {
      out.variants.push_back(
          {.site = step.slot + "." + letter,
           .kind = kind,
           .says = says,
           .apply = [s, apply = std::move(apply)](BlockSetup& setup) { apply(mixer_of<Attention>(setup, s)); }});
    };
    add("q", "qk_norm", "the norms of queries and keys are left out",
        [](Attention& a) { a.q_norm.reset(), a.k_norm.reset(); });
    add("q", "qk_norm", "queries are not normed", [](Attention& a) { a.q_norm.reset(); });
    add("k", "qk_norm", "keys are not normed", [](Attention& a) { a.k_norm.reset(); });
    if (attention.rope)
      add("q", "qk_norm",
          attention.norm_rotated ? "queries and keys are normed before they are rotated rather than behind it"
                                 : "queries and keys are normed behind the rotation rather than before it",
          [](Attention& a) { a.norm_rotated = !a.norm_rotated; });
    for (const bool keys : {false, true}) {
      std::optional<HeadNorm> Attention::*member = keys ? &Attention::k_norm : &Attention::q_norm;
      if (!(attention.*member)) continue;
      const std::string what = keys ? "the keys' norm" : "the queries' norm";
      const char* letter = keys ? "k" : "q";
      const Norm& norm = (attention.*member)->norm;
      out.scalars.push_back({.site = step.slot + "." + letter,
                             .kind = "eps",
                             .name = "epsilon of " + what,
                             .ours = norm.epsilon,
                             .tried = {1e-5, 1e-6, 1e-12, 1e-8, 0, 1e-4, 1e-3, 1e-2},
                             .apply = [s, member](BlockSetup& setup, double value) {
                               auto& changed = mixer_of<Attention>(setup, s).*member;
                               if (changed) changed->norm.epsilon = static_cast<float>(value);
                             }});
      const bool layer = norm.kind == NormKind::kLayer;
      add(letter, "qk_norm", what + (layer ? " does not subtract the mean" : " subtracts the mean"),
          [member, layer](Attention& a) {
            if (a.*member) (a.*member)->norm.kind = layer ? NormKind::kRms : NormKind::kLayer;
          });
      add(letter, "qk_norm", what + (norm.offset != 0 ? " does not add 1 to its weights" : " adds 1 to its weights"),
          [member](Attention& a) {
            if (a.*member) (a.*member)->norm.offset = (a.*member)->norm.offset != 0 ? 0.0F : 1.0F;
          });
      add(letter, "qk_norm", what + " has no weights", [member](Attention& a) {
        if (a.*member) (a.*member)->norm.weight = false;
      });
    }
    if (!attention.q_norm || !attention.k_norm) return;
    out.scalars.push_back({.site = step.slot + ".q",
                           .kind = "eps",
                           .name = "epsilon of the queries' and keys' norms",
                           .ours = attention.q_norm->norm.epsilon,
                           .tried = {1e-5, 1e-6, 1e-12, 1e-8, 0, 1e-4, 1e-3, 1e-2},
                           .apply = [s](BlockSetup& setup, double value) {
                             Attention& a = mixer_of<Attention>(setup, s);
                             if (a.q_norm) a.q_norm->norm.epsilon = static_cast<float>(value);
                             if (a.k_norm) a.k_norm->norm.epsilon = static_cast<float>(value);
                           }});
    out.variants.push_back({.site = step.slot + ".q",
                            .kind = "weights",
                            .says = "the weights of the queries' and the keys' norm are exchanged",
                            .apply = [at = "block.0." + step.slot](BlockSetup& setup) {
                              for (const char* leaf : {".weight", ".bias"}) {
                                if (setup.weights.contains(at + ".q_norm" + leaf) &&
                                    setup.weights.contains(at + ".k_norm" + leaf))
                                  std::swap(setup.weights[at + ".q_norm" + leaf], setup.weights[at + ".k_norm" + leaf]);
                              }
                            }});
  });
}

}  // namespace

void suspect_norms(const BlockLab& lab, Hypotheses& out) {
  const std::vector<Place> norms = places(lab);
  for (const Place& place : norms) suspect_epsilon(place, out);
  if (norms.size() > 1) {
    out.scalars.push_back({.site = norms.front().site,
                           .kind = "eps",
                           .name = "epsilon of all norms here",
                           .ours = norms.front().norm.epsilon,
                           .tried = {1e-5, 1e-6, 1e-12, 1e-8, 0, 1e-4, 1e-3, 1e-2},
                           .apply = [norms](BlockSetup& setup, double value) {
                             for (const Place& place : norms) {
                               if (Norm* norm = norm_of(setup, place.find)) norm->epsilon = static_cast<float>(value);
                             }
                           }});
  }
  for (const Place& place : norms) suspect_parameters(place, out);
  suspect_exchanges(norms, out);
  suspect_places(lab, out);
  suspect_head_norms(lab, out);
}

}  // namespace layerscope
