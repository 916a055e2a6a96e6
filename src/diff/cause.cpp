#include "diff/cause.h"

#include "base/try.h"
#include "diff/block_lab.h"
#include "diff/cause_search.h"
#include "diff/narrowing.h"
#include "session/model_state.h"

namespace layerscope {

namespace {

// A part that is not searched is a difference all the same.
std::vector<Cause> too_large(const Model& live, const BlockEvidence& evidence, const std::string& why) {
  const std::string prefix = stack_prefix(live.state().spec, evidence.stack);
  const bool end = evidence.block == live.sites().layers[static_cast<std::size_t>(evidence.stack)];
  const std::string site = evidence.block < 0 ? "embed"
                           : end              ? "final"
                                              : "block." + std::to_string(evidence.block) + ".out";
  return {{.site = prefix + site, .kind = "unknown", .evidence = why}};
}

}  // namespace

Result<std::vector<Cause>> find_causes(const Model& live, const BlockEvidence& evidence) try {
  auto made = BlockLab::make(live, evidence);
  if (!made && made.error().code == ErrorCode::kResource) return too_large(live, evidence, made.error().message);
  LAYERSCOPE_ASSIGN(const std::unique_ptr<BlockLab> lab, std::move(made));
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
