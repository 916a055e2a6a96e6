#include "cli/search_corpus.h"

#include <algorithm>
#include <set>

#include "base/try.h"

namespace layerscope::cli {
namespace {

Error usage(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }

bool is_quantized(DType dtype) { return dtype == DType::kI8 || dtype == DType::kU8; }

std::string width_error(const Corpus& corpus, std::int64_t width) {
  return corpus.path() + ": its vectors have " + std::to_string(corpus.width()) + " elements, the queries " +
         std::to_string(width);
}

/// Hamming distances by a dot product need the query's bits as signs (numpy.packbits(x > 0)).
std::vector<float> signs_of(std::span<const float> queries) {
  std::vector<float> signs;
  for (const float value : queries) signs.push_back(value > 0 ? 1.0F : -1.0F);
  return signs;
}

double share_found(std::span<const Neighbour> exact, std::span<const Neighbour> found) {
  std::set<std::int64_t> rows;
  for (const Neighbour& hit : found) rows.insert(hit.row);
  const auto there =
      std::count_if(exact.begin(), exact.end(), [&](const Neighbour& hit) { return rows.contains(hit.row); });
  return exact.empty() ? 1.0 : static_cast<double>(there) / static_cast<double>(exact.size());
}

}  // namespace

Result<std::unique_ptr<SearchCorpus>> SearchCorpus::open(const SearchArguments& arguments, Corpus corpus,
                                                         std::int64_t width, Metric metric, int threads,
                                                         const std::string& isa) {
  std::unique_ptr<SearchCorpus> made(new SearchCorpus(std::move(corpus)));
  made->width_ = width;
  made->top_k_ = arguments.top_k;
  made->metric_ = arguments.metric.value_or(metric);
  made->quantized_ = is_quantized(made->corpus_.dtype());
  NearestOptions options{.metric = made->metric_, .top_k = arguments.top_k, .threads = threads, .isa = isa};
  if (made->quantized_) {
    LAYERSCOPE_TRY(made->open_quantized(arguments, options));
    if (made->rescores_)
      options.top_k = std::min(arguments.top_k * arguments.oversample, std::max<std::int64_t>(1, made->corpus_.rows()));
    options.metric = Metric::kDot;
  } else {
    if (made->corpus_.width() != width) return usage(width_error(made->corpus_, width));
    if (!arguments.rescore.empty())
      return usage("--rescore: " + made->corpus_.path() + " holds float vectors already, its scores are exact");
  }
  const bool signs = made->code_ != VectorCode::kNumbers;
  LAYERSCOPE_ASSIGN(
      made->first_,
      NearestRows::open({made->corpus_.blocks(), width, signs ? VectorCode::kSigns : VectorCode::kNumbers}, options));
  return made;
}

Status SearchCorpus::open_quantized(const SearchArguments& arguments, const NearestOptions& options) {
  if (corpus_.width() != width_) {
    if (corpus_.width() != (width_ + 7) / 8) return usage(width_error(corpus_, width_) + " (or as many bits)");
    code_ = VectorCode::kBits;
  }
  rescores_ = arguments.rescore != "none";
  if (arguments.rescore.empty() || !rescores_) {
    metric_ = Metric::kDot;
    if (arguments.metric && *arguments.metric != Metric::kDot) {
      return usage("--metric: " + corpus_.path() + " holds " + (code_ == VectorCode::kBits ? "bits" : "integers") +
                   ", which are compared by dot products; --rescore FILE ranks by float vectors and any metric");
    }
    return {};
  }
  LAYERSCOPE_ASSIGN(floats_, Corpus::open(arguments.rescore, "", arguments.allow_incomplete));
  if (is_quantized(floats_->dtype())) return usage("--rescore " + arguments.rescore + ": holds no float vectors");
  if (floats_->width() != width_) return usage(width_error(*floats_, width_));
  if (floats_->rows() != corpus_.rows()) {
    return usage("--rescore " + arguments.rescore + ": holds " + std::to_string(floats_->rows()) + " rows, " +
                 corpus_.path() + " has " + std::to_string(corpus_.rows()));
  }
  for (const VectorBlock& block : floats_->blocks()) {
    if (block.values.rows > 0 && block.number(block.values.rows - 1) >= floats_->rows())
      return usage("--rescore " + arguments.rescore +
                   ": its row numbers have gaps, a .npy's have none; give a .npy too");
  }
  NearestOptions exact = options;
  exact.metric = metric_;
  LAYERSCOPE_ASSIGN(exact_, NearestRows::open({floats_->blocks(), width_}, exact));
  return {};
}

std::string SearchCorpus::score_name() const {
  const std::string name(kMetricNames[static_cast<std::size_t>(metric_)]);
  if (!quantized_) return name;
  if (floats_) return name + " of float vectors";
  if (code_ == VectorCode::kBits) return rescores_ ? "dot product with bits" : "negative Hamming distance";
  return "dot product with integers";
}

std::vector<float> SearchCorpus::stored_row(std::int64_t number) const {
  const Corpus& from = floats_ ? *floats_ : corpus_;
  std::vector<float> row(static_cast<std::size_t>(width_));
  const std::byte* const data = from.row(number);
  if (data == nullptr) return row;
  first_->decode({from.dtype(), data, 1, from.width(), from.width()}, floats_ ? VectorCode::kNumbers : code_,
                 row.data());
  return row;
}

Result<std::vector<std::vector<Neighbour>>> SearchCorpus::nearest(const NearestRows& rows, const Corpus& of,
                                                                  std::span<const float> queries) const {
  auto found = rows.find(queries);
  if (!found) return Error{found.error().code, of.path() + ": " + found.error().message};
  return found;
}

Result<std::vector<SearchHits>> SearchCorpus::find(std::span<const float> queries) const {
  const auto width = static_cast<std::size_t>(width_);
  const bool signs = code_ != VectorCode::kNumbers;
  LAYERSCOPE_ASSIGN(auto found, nearest(*first_, corpus_, signs ? std::span<const float>(signs_of(queries)) : queries));
  std::vector<std::vector<Neighbour>> exact;
  if (exact_) {
    LAYERSCOPE_ASSIGN(exact, nearest(*exact_, *floats_, queries));
  }
  std::vector<SearchHits> results;
  for (std::size_t query = 0; query < found.size(); ++query) {
    SearchHits& result = results.emplace_back();
    std::vector<Neighbour>& candidates = found[query];
    if (signs && !rescores_) {
      for (Neighbour& hit : candidates) hit.score = (hit.score - static_cast<double>(width_)) / 2;
    }
    if (exact_) {
      const std::size_t first = std::min(candidates.size(), static_cast<std::size_t>(top_k_));
      result.recall_candidates = share_found(exact[query], std::span(candidates).first(first));
    }
    if (rescores_ && quantized_) {
      const std::span<const float> vector = queries.subspan(query * width, width);
      std::vector<float> row;
      candidates = rescored(metric_, vector, std::move(candidates), top_k_, [&](std::int64_t number) {
        row = stored_row(number);
        return std::span<const float>(row);
      });
    }
    if (exact_) result.recall = share_found(exact[query], candidates);
    result.hits = std::move(candidates);
  }
  return results;
}

}  // namespace layerscope::cli
