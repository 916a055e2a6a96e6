// A corpus with the ways it can be searched: at once, or by candidates that are ranked anew.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/nearest.h"
#include "cli/arguments.h"
#include "layerscope/error.h"
#include "store/corpus.h"

namespace layerscope::cli {

/// What one query came to.
struct SearchHits {
  std::vector<Neighbour> hits;
  std::optional<double> recall;             ///< share of the exact nearest rows among `hits`
  std::optional<double> recall_candidates;  ///< among as many of the first candidates, before they were ranked anew
};

/// sentence_transformers 6.2, util/quantization.py (semantic_search_usearch, semantic_search_faiss): integers and bits
/// are searched for candidates, which the float query then ranks by its dot product with the stored integers (bits: 0
/// and 1). Where the float32 vectors are given, they rank instead, and the exact answer is there to compare with.
class SearchCorpus {
 public:
  /// `width` of the queries; `metric` holds where the arguments name none. Errors: kUsage where widths, types or flags
  /// do not go together; those of Corpus::open.
  [[nodiscard]] static Result<std::unique_ptr<SearchCorpus>> open(const SearchArguments& arguments, Corpus corpus,
                                                                  std::int64_t width, Metric metric, int threads,
                                                                  const std::string& isa);

  [[nodiscard]] const Corpus& corpus() const noexcept { return corpus_; }
  /// What the scores are, for people.
  [[nodiscard]] std::string score_name() const;
  [[nodiscard]] std::size_t queries_a_pass() const noexcept { return first_->queries_a_pass(); }
  /// [queries, width] to one result a query. Errors: as NearestRows::find, naming the corpus.
  [[nodiscard]] Result<std::vector<SearchHits>> find(std::span<const float> queries) const;

 private:
  explicit SearchCorpus(Corpus corpus) : corpus_(std::move(corpus)) {}
  Status open_quantized(const SearchArguments& arguments, const NearestOptions& options);
  [[nodiscard]] std::vector<float> stored_row(std::int64_t number) const;
  [[nodiscard]] Result<std::vector<std::vector<Neighbour>>> nearest(const NearestRows& rows, const Corpus& of,
                                                                    std::span<const float> queries) const;

  Corpus corpus_;
  std::optional<Corpus> floats_;
  std::int64_t width_ = 0, top_k_ = 0;
  Metric metric_ = Metric::kCosine;
  VectorCode code_ = VectorCode::kNumbers;
  bool quantized_ = false, rescores_ = false;
  std::unique_ptr<NearestRows> first_, exact_;
};

}  // namespace layerscope::cli
