// Edits within a pass: which of them a site takes, and that rows and vectors fit.
#include <algorithm>

#include "base/try.h"
#include "engine/pass.h"

namespace layerscope {
namespace {

bool is_at(const EditPlan::Entry& entry, StackId stack, int block, int step, SiteKind kind) {
  const Site& site = entry.site;
  return site.stack == stack && site.block == block && site.step == step && site.kind == kind;
}

}  // namespace

std::int64_t StackPass::edited_length(std::size_t sequence, bool cross) const noexcept {
  const auto& offsets = cross ? batch_.inputs[0].offsets : input_.offsets;
  const bool given = id_ == StackId::kDecoder && !cross && !options_.edited_lengths.empty();
  return given ? options_.edited_lengths[sequence]
               : (cross ? 0 : past(sequence)) + offsets[sequence + 1] - offsets[sequence];
}

Status StackPass::check_edits() const {
  for (std::size_t s = 0; options_.edits != nullptr && s + 1 < input_.offsets.size(); ++s) {
    if (past(s) == 0) LAYERSCOPE_TRY(options_.edits->check_row(batch_.rows[s], id_, edited_length(s, false)));
  }
  return {};
}

bool StackPass::edits(int block, int step, SiteKind kind) const noexcept {
  return options_.edits != nullptr && std::ranges::any_of(options_.edits->entries(), [&](const EditPlan::Entry& entry) {
           return is_at(entry, id_, block, step, kind);
         });
}

Status StackPass::edit(const Place& place, SiteKind kind, std::int64_t first, const MutableRows& rows) {
  return edit(place.block, place.step, kind, first, rows);
}

Status StackPass::edit(int block, int step, SiteKind kind, std::int64_t first, const MutableRows& rows) {
  if (options_.edits == nullptr) return {};
  for (const EditPlan::Entry& entry : options_.edits->entries()) {
    if (!is_at(entry, id_, block, step, kind)) continue;
    const bool cross = entry.site.cross;
    const auto& offsets = cross ? batch_.inputs[0].offsets : input_.offsets;
    std::vector<std::int64_t> before, lengths;
    for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
      before.push_back(cross ? 0 : past(s));
      lengths.push_back(edited_length(s, cross));
    }
    if (apply_edit(entry, {offsets, batch_.rows, before, lengths}, first, rows))
      LAYERSCOPE_TRY(check(rows.view(), first, entry.site.name, offsets));
  }
  return {};
}

}  // namespace layerscope
