#include "analysis/nearest.h"

namespace layerscope {

std::vector<std::vector<Neighbour>> nearest_rows_reference(const Backend& backend, const VectorSet& vectors,
                                                           std::span<const float> queries, Metric metric,
                                                           std::int64_t top_k) {
  const auto width = static_cast<std::size_t>(vectors.width);
  std::vector<std::vector<Neighbour>> results;
  for (std::size_t first = 0; first < queries.size(); first += width) {
    const std::span<const float> query = queries.subspan(first, width);
    std::vector<Neighbour> all;
    std::vector<float> row(width);
    for (const VectorBlock& block : vectors.blocks) {
      for (std::int64_t i = 0; i < block.values.rows; ++i) {
        RowsView one = block.values;
        one.data += i * one.stride * static_cast<std::int64_t>(dtype_size(one.dtype));
        one.rows = 1;
        decode_rows(backend, one, vectors.code, vectors.width, row.data());
        all.push_back({similarity_score(metric, query, norm_of(query), row), block.number(i)});
      }
    }
    std::sort(all.begin(), all.end(), nearer);
    if (static_cast<std::int64_t>(all.size()) > top_k) all.resize(static_cast<std::size_t>(top_k));
    results.push_back(std::move(all));
  }
  return results;
}

}  // namespace layerscope
