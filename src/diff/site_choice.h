// Which sites of two sides are compared.
#pragma once

#include <string>
#include <vector>

#include "diff/report.h"
#include "diff/side.h"

namespace layerscope {

struct SiteChoice {
  std::vector<SideSite> sites;  ///< in the order of computation
  std::string incomparable;     ///< why nothing can be compared; empty where something can
};

/// Sites that both sides have and `layers` and `sites` (as in TapRequest) ask for; without either all states of
/// transformers' numbering and whatever a run or dump holds beyond. Errors: kUsage for requests that no common site
/// meets.
[[nodiscard]] Result<SiteChoice> choose_sites(const Side& a, const Side& b, const std::string& layers,
                                              const std::string& sites);

/// `find` of a list of sites by name, or null.
[[nodiscard]] const SideSite* find_site(const Side& side, std::string_view name) noexcept;

}  // namespace layerscope
