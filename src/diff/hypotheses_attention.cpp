#include <algorithm>
#include <cmath>

#include "diff/hypotheses.h"

namespace layerscope {
namespace {

using Change = std::function<void(Attention&)>;

void add_spec(Hypotheses& out, std::size_t s, const std::string& site, const char* kind, const std::string& says,
              Change apply) {
  out.variants.push_back(
      {.site = site, .kind = kind, .says = says, .apply = [s, apply = std::move(apply)](BlockSetup& setup) {
         apply(mixer_of<Attention>(setup, s));
       }});
}

// The term of relative positions, where a setup still has one of that form.
template <class Term, class F>
void change_term(Attention& attention, F&& f) {
  if (Term* term = std::get_if<Term>(&attention.score)) f(*term);
}

void suspect_scale(std::size_t s, const Step& step, const Attention& attention, std::int64_t width, Hypotheses& out) {
  const double root = std::sqrt(static_cast<double>(attention.d_qk)), ours = attention.scale;
  out.scalars.push_back(
      {.site = step.slot + ".probs",
       .kind = "scale",
       .name = "the scale of the scores",
       .ours = ours,
       .tried = {1, 1 / root, ours * ours, 1 / static_cast<double>(attention.d_qk), root,
                 1 / std::sqrt(static_cast<double>(width)), 1 / std::sqrt(static_cast<double>(attention.d_v)),
                 1 / std::sqrt(static_cast<double>(attention.heads * attention.d_qk)), ours / root, ours * root,
                 ours / 2, ours * 2, ours * 0.9, ours * 1.1},
       .apply = [s](BlockSetup& setup, double value) {
         mixer_of<Attention>(setup, s).scale = static_cast<float>(value);
       }});
}

void suspect_terms(std::size_t s, const Step& step, const Attention& attention, Hypotheses& out) {
  const std::string probs = step.slot + ".probs";
  if (attention.softcap) {
    add_spec(out, s, probs, "scale", "the scores are not capped", [](Attention& a) { a.softcap.reset(); });
  }
  out.scalars.push_back(
      {.site = probs,
       .kind = "scale",
       .name = "the cap of the scores",
       .ours = attention.softcap.value_or(INFINITY),
       .tried = {50, 30, 20, 100, 15},
       .apply = [s](BlockSetup& setup,
                    double value) { mixer_of<Attention>(setup, s).softcap = static_cast<float>(value); },
       .refine = attention.softcap.has_value()});
  if (attention.sinks)
    add_spec(out, s, probs, "scale", "the sinks' scores are left out", [](Attention& a) { a.sinks = false; });
  if (attention.clip) {
    add_spec(out, s, step.slot + ".q", "scale", "queries, keys and values are not clipped",
             [](Attention& a) { a.clip.reset(); });
    out.scalars.push_back(
        {.site = step.slot + ".q",
         .kind = "scale",
         .name = "the limit of queries, keys and values",
         .ours = *attention.clip,
         .tried = {1, 2, 4, 6, 8, 10, 30},
         .apply = [s](BlockSetup& setup, double v) { mixer_of<Attention>(setup, s).clip = static_cast<float>(v); }});
  }
  if (!std::holds_alternative<std::monostate>(attention.score)) {
    add_spec(out, s, probs, "positions", "the scores' term of relative positions is left out",
             [](Attention& a) { a.score = std::monostate(); });
    out.variants.push_back(
        {.site = probs,
         .kind = "scale",
         .says = "the term of relative positions is scaled as the products are",
         .apply = [slot = step.slot](BlockSetup& setup) { setup.attentions[slot].bias_scaled = true; }});
  }
  if (std::holds_alternative<Alibi>(attention.score)) {
    add_spec(out, s, probs, "positions", "the slopes' heads are in reverse order",
             [](Attention& a) { change_term<Alibi>(a, [](Alibi& alibi) { std::ranges::reverse(alibi.slopes); }); });
    for (const double factor : {0.5, 2.0, -1.0}) {
      add_spec(out, s, probs, "positions", "the slopes are " + number_text(factor) + " times ours",
               [factor](Attention& a) {
                 change_term<Alibi>(a, [factor](Alibi& alibi) {
                   for (float& slope : alibi.slopes) slope *= static_cast<float>(factor);
                 });
               });
    }
    add_spec(out, s, probs, "positions", "the slopes are those of other powers",
             [heads = attention.heads](Attention& a) {
               change_term<Alibi>(a, [heads](Alibi& alibi) {
                 for (std::size_t h = 0; h < alibi.slopes.size(); ++h)
                   alibi.slopes[h] =
                       static_cast<float>(std::exp2(-8.0 * static_cast<double>(h) / static_cast<double>(heads)));
               });
             });
  }
  if (const auto* buckets = std::get_if<BucketBias>(&attention.score)) {
    add_spec(out, s, probs, "positions",
             buckets->bidirectional ? "relative positions count in one direction only"
                                    : "relative positions count in both directions",
             [](Attention& a) {
               change_term<BucketBias>(a, [](BucketBias& bias) { bias.bidirectional = !bias.bidirectional; });
             });
    for (const std::int64_t reach :
         {buckets->max_distance / 2, buckets->max_distance * 2, buckets->buckets, buckets->max_distance - 1}) {
      add_spec(out, s, probs, "positions",
               "the buckets of relative positions reach " + std::to_string(reach) + " rather than " +
                   std::to_string(buckets->max_distance),
               [reach](Attention& a) {
                 change_term<BucketBias>(a, [reach](BucketBias& bias) { bias.max_distance = reach; });
               });
    }
    out.variants.push_back(
        {.site = probs,
         .kind = "positions",
         .says = "the table of relative positions is read with query and key exchanged",
         .apply = [s](BlockSetup& setup) { setup.attentions[setup.step(s).slot].bias_mirrored = true; }});
    const std::string own = buckets->own_table ? "block.0." + step.slot + ".score.weight" : "score.weight";
    out.variants.push_back({.site = probs,
                            .kind = "weights",
                            .says = "the heads of the table of relative positions are in reverse order",
                            .apply = [own](BlockSetup& setup) {
                              SlotValues* table = setup.change(own);
                              if (table == nullptr) return;
                              for (std::int64_t row = 0; row < table->outputs; ++row)
                                std::reverse(table->values.begin() + row * table->inputs,
                                             table->values.begin() + (row + 1) * table->inputs);
                            }});
  }
  if (const auto* relative = std::get_if<Disentangled>(&attention.score)) {
    if (relative->content_to_position)
      add_spec(out, s, probs, "positions", "the term from contents to positions is left out", [](Attention& a) {
        change_term<Disentangled>(a, [](Disentangled& term) { term.content_to_position = false; });
      });
    if (relative->position_to_content)
      add_spec(out, s, probs, "positions", "the term from positions to contents is left out", [](Attention& a) {
        change_term<Disentangled>(a, [](Disentangled& term) { term.position_to_content = false; });
      });
  }
}

void suspect_heads(const Step& step, const Attention& attention, Hypotheses& out) {
  const auto add = [&](const char* site, const char* kind, const std::string& says, bool AttentionChange::*member) {
    out.variants.push_back(
        {.site = step.slot + "." + site,
         .kind = kind,
         .says = says,
         .apply = [slot = step.slot, member](BlockSetup& setup) { setup.attentions[slot].*member = true; }});
  };
  if (attention.kv_heads > 1 && attention.kv_heads < attention.heads)
    add("probs", "weights", "query heads read key heads in turn rather than in groups", &AttentionChange::cyclic_heads);
  if (attention.heads > 1)
    add("z", "transposed", "the heads' outputs are laid out head by head rather than token by token",
        &AttentionChange::heads_outside);
}

}  // namespace

void suspect_scores(const BlockLab& lab, Hypotheses& out) {
  for_each_mixer<Attention>(lab, [&](std::size_t s, const Step& step, const Attention& attention) {
    suspect_scale(s, step, attention, lab.width(), out);
    suspect_terms(s, step, attention, out);
    suspect_heads(step, attention, out);
  });
}

}  // namespace layerscope
