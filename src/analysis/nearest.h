// The rows nearest to queries, exactly.
//
// Scores are float64 sums (metric.h); equal ones rank by row number. A float32 product of all queries with a tile of
// rows finds candidates: those whose score could reach the k-th best found so far, given how far such a product can lie
// from the true one. Only they are scored in float64. So the answer is that of scoring every pair in float64, and
// depends neither on tiles nor on threads nor on the instruction set.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/metric.h"
#include "analysis/vector_set.h"
#include "layerscope/error.h"

namespace layerscope {

struct Neighbour {
  double score = 0;
  std::int64_t row = 0;  ///< its number
  friend bool operator==(const Neighbour& a, const Neighbour& b) noexcept = default;
};
/// The order of results.
[[nodiscard]] constexpr bool nearer(const Neighbour& a, const Neighbour& b) noexcept {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

struct NearestOptions {
  Metric metric = Metric::kCosine;
  std::int64_t top_k = 10;  ///< more than there are rows: all rows
  int threads = 1;
  std::string isa;  ///< as CpuOptions
};

/// A search over one set of vectors, for any number of queries.
class NearestRows {
 public:
  /// `vectors` must outlive the object. Errors: kUsage for an unknown instruction set.
  [[nodiscard]] static Result<std::unique_ptr<NearestRows>> open(const VectorSet& vectors,
                                                                 const NearestOptions& options);
  ~NearestRows();
  NearestRows(const NearestRows&) = delete;
  NearestRows& operator=(const NearestRows&) = delete;

  /// Queries that share one pass over the rows; more take further passes.
  [[nodiscard]] std::size_t queries_a_pass() const noexcept;
  /// Rows of the vectors' width as float32, exactly, whatever they are stored as.
  void decode(const RowsView& rows, VectorCode code, float* out) const;
  /// The nearest rows of every query ([queries, width]), nearest first. Errors: kRuntime naming the first query or row
  /// that holds a value that is not finite; kResource.
  [[nodiscard]] Result<std::vector<std::vector<Neighbour>>> find(std::span<const float> queries) const;

 private:
  struct State;
  explicit NearestRows(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The same by its definition, one pair after another: what `find` is tested by.
[[nodiscard]] std::vector<std::vector<Neighbour>> nearest_rows_reference(const Backend& backend,
                                                                         const VectorSet& vectors,
                                                                         std::span<const float> queries, Metric metric,
                                                                         std::int64_t top_k);

/// Candidates of one query scored anew by `vector_of(row)` (width elements) and ranked; the `top_k` best remain.
template <class VectorOf>
[[nodiscard]] std::vector<Neighbour> rescored(Metric metric, std::span<const float> query,
                                              std::vector<Neighbour> candidates, std::int64_t top_k,
                                              const VectorOf& vector_of) {
  const double norm = norm_of(query);
  for (Neighbour& candidate : candidates)
    candidate.score = similarity_score(metric, query, norm, vector_of(candidate.row));
  std::sort(candidates.begin(), candidates.end(), nearer);
  if (static_cast<std::int64_t>(candidates.size()) > top_k) candidates.resize(static_cast<std::size_t>(top_k));
  return candidates;
}

}  // namespace layerscope
