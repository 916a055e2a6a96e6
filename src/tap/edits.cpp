#include "layerscope/edits.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/try.h"
#include "tap/layer_list.h"
#include "tap/sites.h"

namespace layerscope {
namespace {

constexpr std::array<std::string_view, 3> kOps = {"add", "set", "scale"};

Error usage(const Edit& edit, const std::string& message) {
  return Error{ErrorCode::kUsage, "edit of \"" + edit.site + "\": " + message};
}

std::string editable_sites(const SiteTable& table) {
  SiteTable some;
  std::copy_if(table.sites.begin(), table.sites.end(), std::back_inserter(some.sites),
               [](const Site& site) { return editable(site.kind); });
  return site_names(some);
}

Result<std::vector<const Site*>> sites_of(const SiteTable& table, const Edit& edit) {
  std::vector<const Site*> found;
  for (const Site& site : table.sites) {
    if (!glob_matches(edit.site, site.name)) continue;
    if (!editable(site.kind))
      return usage(edit, "\"" + site.name + "\" cannot be edited; those that can: " + editable_sites(table));
    found.push_back(&site);
  }
  if (found.empty()) return usage(edit, "no such site; those that can be edited: " + editable_sites(table));
  return found;
}

Status check_values(const Edit& edit, const PositionList& positions) {
  if (edit.vectors < 1 || edit.values.empty()) return usage(edit, "no vector is given");
  const auto bad =
      std::find_if(edit.values.begin(), edit.values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != edit.values.end()) {
    return usage(edit,
                 "the vectors hold NaN or infinity, first at element " + std::to_string(bad - edit.values.begin()));
  }
  if (positions.sample > 0)
    return usage(edit, "positions \"" + edit.positions + "\", expected all, first, last or a list");
  if (positions.picked && edit.vectors != 1 && edit.vectors != static_cast<std::int64_t>(positions.list.size())) {
    return usage(edit, std::to_string(edit.vectors) + " vectors for " + std::to_string(positions.list.size()) +
                           " positions, expected 1 or as many");
  }
  return {};
}

// The vectors at the width of a site.
Result<std::shared_ptr<const std::vector<float>>> values_for(const Site& site, const Edit& edit) {
  const std::size_t wanted = static_cast<std::size_t>(edit.vectors) * static_cast<std::size_t>(site.width);
  if (edit.vectors == 1 && edit.values.size() == 1)
    return std::make_shared<const std::vector<float>>(wanted, edit.values.front());
  if (edit.values.size() != wanted) {
    return usage(edit, "\"" + site.name + "\" is " + std::to_string(site.width) + " wide, the vectors have " +
                           std::to_string(edit.values.size() / static_cast<std::size_t>(edit.vectors)) + " elements");
  }
  return std::make_shared<const std::vector<float>>(edit.values);
}

}  // namespace

std::optional<EditOp> edit_op_from_name(std::string_view name) noexcept {
  const auto* const found = std::find(kOps.begin(), kOps.end(), name);
  if (found == kOps.end()) return std::nullopt;
  return static_cast<EditOp>(found - kOps.begin());
}

std::string_view edit_op_name(EditOp op) noexcept { return kOps[static_cast<std::size_t>(op)]; }

bool editable(SiteKind kind) noexcept {
  switch (kind) {
    case SiteKind::kEmbed:
    case SiteKind::kStepIn:
    case SiteKind::kQueries:
    case SiteKind::kKeys:
    case SiteKind::kValues:
    case SiteKind::kHeads:
    case SiteKind::kAct:
    case SiteKind::kStepOut:
    case SiteKind::kStepPresum:
    case SiteKind::kStepSum:
    case SiteKind::kBlockOut:
    case SiteKind::kFinal: return true;
    default: return false;
  }
}

Result<EditPlan> EditPlan::compile(const SiteTable& table, const std::vector<Edit>& edits) {
  EditPlan plan;
  for (const Edit& edit : edits) {
    LAYERSCOPE_ASSIGN(const std::vector<const Site*> sites, sites_of(table, edit));
    LAYERSCOPE_ASSIGN(const PositionList positions, parse_positions(edit.positions));
    LAYERSCOPE_TRY(check_values(edit, positions));
    std::shared_ptr<const std::vector<float>> values;
    for (const Site* site : sites) {
      if (!values || static_cast<std::int64_t>(values->size()) != edit.vectors * site->width) {
        LAYERSCOPE_ASSIGN(values, values_for(*site, edit));
      }
      plan.entries_.push_back({.site = *site,
                               .op = edit.op,
                               .all = !positions.picked,
                               .positions = positions.list,
                               .row = edit.row,
                               .vectors = edit.vectors,
                               .values = values});
    }
  }
  return plan;
}

const float* EditPlan::Entry::vector_at(std::int64_t position, std::int64_t length) const noexcept {
  std::int64_t index = position;
  if (!all) {
    const auto found = std::find_if(positions.begin(), positions.end(), [&](std::int64_t wanted) {
      return (wanted < 0 ? wanted + length : wanted) == position;
    });
    if (found == positions.end()) return nullptr;
    index = found - positions.begin();
  }
  if (vectors == 1) index = 0;
  return index < vectors ? values->data() + index * site.width : nullptr;
}

Status EditPlan::check_row(std::int64_t row, StackId stack, std::int64_t tokens) const {
  for (const Entry& entry : entries_) {
    const StackId read = entry.site.cross ? StackId::kEncoder : entry.site.stack;
    if (read != stack || !entry.all || entry.vectors == 1 || entry.vectors == tokens) continue;
    if (entry.row && *entry.row != row) continue;
    return Error{ErrorCode::kInput, "row " + std::to_string(row) + " has " + std::to_string(tokens) +
                                        " tokens, the edit of \"" + entry.site.name + "\" has " +
                                        std::to_string(entry.vectors) +
                                        " vectors; name the positions, or give one vector or one a token"};
  }
  return {};
}

}  // namespace layerscope
