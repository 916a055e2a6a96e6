#include "diff/cause.h"

#include "base/try.h"
#include "diff/block_lab.h"
#include "diff/cause_search.h"
#include "diff/narrowing.h"

namespace layerscope {

Result<std::vector<Cause>> find_causes(const Model& live, const BlockEvidence& evidence) try {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<BlockLab> lab, BlockLab::make(live, evidence));
  LAYERSCOPE_ASSIGN(const std::vector<double> base, lab->run(lab->base()));
  const double before = lab->distance(base);
  if (before <= kHonest * lab->noise()) return std::vector<Cause>();
  std::vector<Cause> causes;
  CauseSearch search(*lab, before);
  for (const Finding& finding : search.run())
    causes.push_back({.site = lab->site_name(finding.site),
                      .kind = finding.kind,
                      .evidence = finding.evidence,
                      .before = finding.before,
                      .after = finding.after});
  if (causes.empty()) causes.push_back(narrow_down(*lab, base, search.nearest(), before));
  return causes;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while looking for the cause of a difference"};
}

}  // namespace layerscope
