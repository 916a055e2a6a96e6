#include <set>

#include "diff/hypotheses.h"
#include "session/model_state.h"

namespace layerscope {
namespace {

using ChangeExtents = std::function<void(RowExtent&, const BlockEvidence::Row&)>;

// Changes what of every row's padding takes part; the rows are copied, as setups outlive nothing.
void add_extents(const BlockLab& lab, Hypotheses& out, const std::string& site, const std::string& says,
                 ChangeExtents change) {
  std::vector<RowExtent> extents(lab.rows().size());
  bool any = false;
  for (std::size_t r = 0; r < extents.size(); ++r) {
    change(extents[r], lab.rows()[r]);
    const RowExtent& e = extents[r];
    any = any || e.left + e.right + e.encoder_left + e.encoder_right + e.hidden_first + e.hidden_last > 0;
    if (e.encoder_left + e.encoder_right > 0 && lab.rows()[r].encoder_padding.empty()) return;
    if (e.left + e.right > 0 && lab.rows()[r].padding_input.empty()) return;
  }
  if (!any) return;
  out.variants.push_back(
      {.site = site, .kind = "mask", .says = says, .apply = [extents](BlockSetup& setup) { setup.extents = extents; }});
}

void suspect_padding(const BlockLab& lab, const Step& step, Hypotheses& out) {
  const std::string site = step.slot + ".probs";
  using Row = BlockEvidence::Row;
  const auto padded = [](const Row& row) { return row.left_padding + row.right_padding > 0; };
  add_extents(lab, out, site, "padding is attended to", [](RowExtent& extent, const Row& row) {
    extent.left = row.left_padding;
    extent.right = row.right_padding;
  });
  if (!out.variants.empty() && out.variants.back().says == "padding is attended to") {
    Variant open = out.variants.back();
    open.says = "padding is attended to from everywhere, beyond the window too";
    open.apply = [padded = open.apply, slot = step.slot](BlockSetup& setup) {
      padded(setup);
      setup.attentions[slot].open_padding = true;
    };
    out.variants.push_back(std::move(open));
  }
  add_extents(lab, out, site, "the first padding token behind a row is attended to",
              [](RowExtent& extent, const Row& row) { extent.right = row.right_padding > 0 ? 1 : 0; });
  add_extents(lab, out, site, "the last padding token before a row is attended to",
              [](RowExtent& extent, const Row& row) { extent.left = row.left_padding > 0 ? 1 : 0; });
  add_extents(lab, out, site, "the last token of padded rows is masked",
              [&](RowExtent& extent, const Row& row) { extent.hidden_last = row.right_padding > 0 ? 1 : 0; });
  add_extents(lab, out, site, "the first token of padded rows is masked",
              [&](RowExtent& extent, const Row& row) { extent.hidden_first = row.left_padding > 0 ? 1 : 0; });
  add_extents(lab, out, site, "the padding mask is shifted by one: the first padding token for the last one of the row",
              [&](RowExtent& extent, const Row& row) {
                if (!padded(row)) return;
                extent.left = row.left_padding > 0 ? 1 : 0;
                extent.hidden_last = 1;
              });
  add_extents(lab, out, site, "the padding mask is on the wrong side", [&](RowExtent& extent, const Row& row) {
    extent.left = row.left_padding;
    extent.right = row.right_padding;
    extent.hidden_first = row.right_padding;
    extent.hidden_last = row.left_padding;
  });
  add_extents(lab, out, site, "the last token of every row is masked",
              [](RowExtent& extent, const Row& row) { extent.hidden_last = row.ids.size() > 1 ? 1 : 0; });
  add_extents(lab, out, site, "the first token of every row is masked",
              [](RowExtent& extent, const Row& row) { extent.hidden_first = row.ids.size() > 1 ? 1 : 0; });
}

void suspect_encoder_padding(const BlockLab& lab, const Step& step, Hypotheses& out) {
  const std::string site = step.slot + ".probs";
  add_extents(lab, out, site, "the encoder's padding is attended to",
              [](RowExtent& extent, const BlockEvidence::Row& row) {
                extent.encoder_left = row.encoder_left;
                extent.encoder_right = row.encoder_right;
              });
  add_extents(
      lab, out, site, "the encoder's first padding token is attended to",
      [](RowExtent& extent, const BlockEvidence::Row& row) { extent.encoder_right = row.encoder_right > 0 ? 1 : 0; });
}

void suspect_reach(std::size_t s, const Step& step, const Attention& attention, const BlockLab& lab, Hypotheses& out) {
  const std::string site = step.slot + ".probs";
  const auto add = [&](const std::string& says, std::function<void(AttentionChange&)> apply) {
    out.variants.push_back(
        {.site = site,
         .kind = "mask",
         .says = says,
         .apply = [slot = step.slot, apply = std::move(apply)](BlockSetup& setup) { apply(setup.attentions[slot]); }});
  };
  const bool causal = attention.keys == KeySource::kSelfCausal;
  if (causal) {
    add("tokens see one token ahead (the causal mask is off by one)", [](AttentionChange& c) { c.right = 1; });
    add("tokens do not see themselves (the causal mask is off by one)",
        [](AttentionChange& c) { c.right = -1, c.blind_sees_itself = true; });
    add("tokens do not see themselves (the causal mask is off by one), and the first one sees all",
        [](AttentionChange& c) { c.right = -1, c.blind_sees_all = true; });
    add("tokens do not see themselves (the causal mask is off by one)", [](AttentionChange& c) { c.right = -1; });
    out.variants.push_back(
        {.site = site,
         .kind = "mask",
         .says = "every token sees every token: the causal mask is missing",
         .apply = [s](BlockSetup& setup) { mixer_of<Attention>(setup, s).keys = KeySource::kSelf; }});
  } else if (attention.keys == KeySource::kSelf) {
    out.variants.push_back(
        {.site = site,
         .kind = "mask",
         .says = "tokens see only what came before: the mask is causal",
         .apply = [s](BlockSetup& setup) { mixer_of<Attention>(setup, s).keys = KeySource::kSelfCausal; }});
  }
  std::set<std::int64_t> windows;
  for (const Block& block : lab.live().state().spec.stack(lab.stack()).blocks) {
    for (const Step& other : block.steps) {
      const auto* of_other = std::get_if<Attention>(&other.mixer);
      if (of_other != nullptr && of_other->window) windows.insert(*of_other->window);
    }
  }
  if (attention.window) {
    out.variants.push_back({.site = site,
                            .kind = "mask",
                            .says = "the window of " + std::to_string(*attention.window) + " tokens is missing",
                            .apply = [s](BlockSetup& setup) { mixer_of<Attention>(setup, s).window.reset(); }});
    for (const std::int64_t off : {1, -1}) windows.insert(*attention.window + off);
    windows.insert(*attention.window * 2);
    windows.insert(*attention.window * 2 - 1);
    windows.insert((*attention.window + 1) / 2);
  }
  for (const std::int64_t window : windows) {
    if (window < 1 || window == attention.window) continue;
    const std::string ours = attention.window ? std::to_string(*attention.window) + " tokens" : "no window";
    out.variants.push_back(
        {.site = site,
         .kind = "mask",
         .says = "a window of " + std::to_string(window) + " tokens rather than " + ours,
         .apply = [s, window](BlockSetup& setup) { mixer_of<Attention>(setup, s).window = window; }});
  }
}

}  // namespace

void suspect_masks(const BlockLab& lab, Hypotheses& out) {
  bool padding = false;
  for_each_mixer<Attention>(lab, [&](std::size_t s, const Step& step, const Attention& attention) {
    if (attention.keys == KeySource::kEncoder) return suspect_encoder_padding(lab, step, out);
    suspect_reach(s, step, attention, lab, out);
    if (!padding) suspect_padding(lab, step, out);
    padding = true;
  });
}

}  // namespace layerscope
