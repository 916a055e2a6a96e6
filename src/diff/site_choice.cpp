#include "diff/site_choice.h"

#include <algorithm>

#include "base/try.h"
#include "tap/layer_list.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

std::string shown(const SideSite& site) {
  return site.name + (site.hf_index ? " (hidden_states[" + std::to_string(*site.hf_index) + "])" : "");
}

/// Values of the two that stand for the same thing, token by token or row by row.
bool same_unit(const SideSite& a, const SideSite& b) {
  const auto tokens = [](StoredUnit unit) { return unit == StoredUnit::kTokens || unit == StoredUnit::kPicks; };
  return a.unit == b.unit || (tokens(a.unit) && tokens(b.unit));
}

std::string names_of(const Side& side) {
  std::string names;
  for (const SideSite& site : side.sites()) {
    if (site.hf_index) names += (names.empty() ? "" : ", ") + site.name;
  }
  return side.path() + " has " + (names.empty() ? "no states of layers" : names);
}

}  // namespace

const SideSite* find_site(const Side& side, std::string_view name) noexcept {
  const auto found =
      std::ranges::find(side.sites(), name, [](const SideSite& site) -> std::string_view { return site.name; });
  return found == side.sites().end() ? nullptr : &*found;
}

Result<SiteChoice> choose_sites(const Side& a, const Side& b, const std::string& layers, const std::string& sites) {
  SiteChoice choice;
  const bool a_orders = a.model() != nullptr || b.model() == nullptr;
  const Side &first = a_orders ? a : b, &second = a_orders ? b : a;
  std::array<int, 2> counts{};
  for (std::size_t stack = 0; stack < 2; ++stack) {
    counts[stack] = std::max(a.layers()[stack], b.layers()[stack]);
    const bool models = a.kind() == SideKind::kModel && b.kind() == SideKind::kModel;
    const int live = first.model() != nullptr ? first.layers()[stack] : counts[stack];
    if ((models && a.layers()[stack] != b.layers()[stack]) || second.layers()[stack] > live) {
      choice.incomparable = a.path() + " has " + std::to_string(a.layers()[stack]) + " blocks, " + b.path() + " " +
                            std::to_string(b.layers()[stack]);
      return choice;
    }
  }
  const bool asked = !layers.empty() || !sites.empty();
  LayerLists wanted;
  if (!layers.empty()) {
    LAYERSCOPE_ASSIGN(wanted, parse_layers(layers, counts));
  }
  const std::vector<std::string_view> globs = split_list(sites);
  // Where the last block's output is the final state too, the one name is enough.
  const auto is_alias = [&](const SideSite& site) {
    return std::ranges::any_of(first.sites(), [&](const SideSite& other) {
      return &other > &site && other.hf_index && other.hf_index == site.hf_index && other.stack == site.stack &&
             find_site(second, other.name) != nullptr;
    });
  };
  const auto is_wanted = [&](const SideSite& site) {
    if (sites.empty() && is_alias(site)) return false;
    if (!asked) {
      const bool held = first.kind() != SideKind::kModel || second.kind() != SideKind::kModel;
      return site.hf_index.has_value() || held;
    }
    const std::vector<int>& list = wanted[static_cast<std::size_t>(site.stack)];
    if (site.hf_index && std::ranges::find(list, *site.hf_index) != list.end()) return true;
    return !sites.empty() &&
           std::ranges::any_of(globs, [&](std::string_view glob) { return glob_matches(glob, site.name); });
  };
  bool common = false;
  for (const SideSite& site : first.sites()) {
    const SideSite* const other = find_site(second, site.name);
    if (other == nullptr || !same_unit(site, *other)) continue;
    common = true;
    if (!is_wanted(site)) continue;
    if (site.width != other->width || (site.hf_index && other->hf_index && site.hf_index != other->hf_index)) {
      const SideSite &of_a = a_orders ? site : *other, &of_b = a_orders ? *other : site;
      choice.incomparable = "A's " + shown(of_a) + " is " + std::to_string(of_a.width) + " wide, B's " + shown(of_b) +
                            " " + std::to_string(of_b.width);
      return choice;
    }
    choice.sites.push_back(site);
  }
  if (!common) {
    choice.incomparable = "there is no site that both have (" + names_of(a) + "; " + names_of(b) + ")";
  } else if (choice.sites.empty()) {
    return Error{ErrorCode::kUsage, "no site that both sides have is asked for by --layers and --sites (" +
                                        names_of(a) + "; " + names_of(b) + ")"};
  }
  return choice;
}

}  // namespace layerscope
