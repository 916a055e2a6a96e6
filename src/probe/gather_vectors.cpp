#include <new>

#include "base/try.h"
#include "probe/gather.h"

namespace layerscope {

Status check_pool(const GatherOptions& options, const LabelFile& labels) {
  if (!options.pool || labels.level() == LabelLevel::kRow) return {};
  return Error{ErrorCode::kUsage, "--pool: " + labels.path() + " labels tokens, not rows"};
}

Result<Gathered> gather_from_vectors(const std::string& name, const std::vector<GivenLayer>& given,
                                     const LabelFile& labels, const GatherOptions& options) try {
  LAYERSCOPE_TRY(check_given(name, given));
  if (labels.level() != LabelLevel::kRow)
    return Error{ErrorCode::kUsage, labels.path() + ": vectors take one label each, not labels of tokens or words"};
  std::vector<ProbeSite> sites;
  for (const GivenLayer& one : given) sites.push_back({one.name, one.hf_index, one.values.width});
  auto layers = std::make_unique<GatheredLayers>(std::move(sites), options.folder, options.memory);
  SampleCollector collector(labels);
  for (std::int64_t row = 0; row < given.front().values.rows; ++row) {
    LAYERSCOPE_ASSIGN(const RowLabels* const wanted, collector.wanted(row, std::nullopt));
    if (wanted == nullptr) continue;
    LAYERSCOPE_ASSIGN(const std::vector<SampleTokens> samples, collector.add(row, *wanted, {}));
    for (std::size_t site = 0; site < given.size(); ++site) {
      const RowsView& values = given[site].values;
      LAYERSCOPE_TRY(layers->append(site, {values.row<float>(row), static_cast<std::size_t>(values.width)}));
    }
  }
  LAYERSCOPE_TRY(layers->finish());
  LAYERSCOPE_ASSIGN(ProbeSamples samples, std::move(collector).finish(options.kind));
  return Gathered{std::move(samples), std::move(layers)};
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, name + ": out of memory while vectors were gathered"};
}

}  // namespace layerscope
