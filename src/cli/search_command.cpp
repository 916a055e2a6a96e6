#include <algorithm>

#include <fmt/format.h>

#include "base/half.h"
#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/embed_rows.h"
#include "cli/search_corpus.h"
#include "job/reopen.h"
#include "job/row_texts.h"
#include "layerscope/hub.h"
#include "view/display_text.h"

namespace layerscope::cli {
namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20;  // of queries that are searched together
constexpr std::size_t kMostQueries = 1024;                 // of them, so that answers do not wait for the last query

struct Query {
  std::int64_t row = 0;
  std::string json;   ///< the text, or the row of a .npy
  std::string shown;  ///< for the terminal
};

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

/// Collects queries, searches them by the batch and writes what they came to.
class Answers {
 public:
  Answers(const SearchCorpus& corpus, const SearchArguments& arguments, Context& context)
      : corpus_(corpus), arguments_(arguments), context_(context) {}

  Result<bool> add(Query query, std::span<const float> vector) {
    queries_.push_back(std::move(query));
    vectors_.insert(vectors_.end(), vector.begin(), vector.end());
    const std::size_t most = std::min(kMostQueries, corpus_.queries_a_pass());
    if (queries_.size() >= most || vectors_.size() * sizeof(float) >= kMostBytes) LAYERSCOPE_TRY(flush());
    return !context_.out.closed();
  }
  Status flush() {
    if (queries_.empty()) return {};
    LAYERSCOPE_ASSIGN(const std::vector<SearchHits> results, corpus_.find(vectors_));
    std::map<std::int64_t, std::string> texts;
    if (!arguments_.texts.empty()) {
      std::vector<std::int64_t> rows;
      for (const SearchHits& result : results) {
        for (const Neighbour& hit : result.hits) rows.push_back(hit.row);
      }
      LAYERSCOPE_ASSIGN(texts, row_texts(arguments_.texts, rows));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].recall) {
        recall_ += *results[i].recall;
        recall_candidates_ += *results[i].recall_candidates;
      }
      context_.common.json ? print_json(queries_[i], results[i], texts) : print_table(queries_[i], results[i], texts);
    }
    answered_ += results.size();
    queries_.clear();
    vectors_.clear();
    return {};
  }
  void summarize() {
    if (answered_ == 0 || arguments_.rescore.empty() || arguments_.rescore == "none") return;
    const double count = static_cast<double>(answered_);
    context_.messages.note(
        fmt::format("recall@{} {:.4f} against exact search over {} ({:.4f} by the candidates' own order), {} {}",
                    arguments_.top_k, recall_ / count, arguments_.rescore, recall_candidates_ / count, answered_,
                    answered_ == 1 ? "query" : "queries"));
  }

 private:
  void print_json(const Query& query, const SearchHits& result, const std::map<std::int64_t, std::string>& texts) {
    std::string line = fmt::format("{{\"query\":{},\"row\":{},\"hits\":[", query.json, query.row);
    for (const Neighbour& hit : result.hits) {
      const std::optional<std::string> id = corpus_.corpus().id(hit.row);
      if (line.back() != '[') line += ',';
      line += fmt::format("{{\"row\":{},\"id\":{},\"score\":", hit.row, id.value_or("null"));
      append_json_number(line, hit.score);
      const auto text = texts.find(hit.row);
      line += ",\"text\":" + (text == texts.end() ? "null" : json_text(text->second)) + "}";
    }
    line += "]";
    if (result.recall) {
      line += ",\"recall\":";
      append_json_number(line, *result.recall);
    }
    context_.out.write(line + "}\n");
  }
  void print_table(const Query& query, const SearchHits& result, const std::map<std::int64_t, std::string>& texts) {
    const std::size_t columns = context_.terminal.columns;
    std::string out = answered_ == 0 && &query == queries_.data() ? header() : "\n";
    out += clipped(query.shown, columns) + "\n";
    for (std::size_t rank = 0; rank < result.hits.size(); ++rank) {
      const Neighbour& hit = result.hits[rank];
      const std::optional<std::string> id = corpus_.corpus().id(hit.row);
      std::string line = fmt::format("{:>4}  {:>9.4f}  row {:<7}", rank + 1, hit.score, hit.row);
      if (id) line += " " + visible(*id);
      if (const auto text = texts.find(hit.row); text != texts.end()) line += " " + visible(text->second);
      out += clipped(line, columns) + "\n";
    }
    context_.out.write(out);
  }
  [[nodiscard]] std::string header() const {
    const Corpus& corpus = corpus_.corpus();
    return fmt::format("{}: {} rows, {}\n\n", visible(corpus.path()), corpus.rows(), corpus_.score_name());
  }

  const SearchCorpus& corpus_;
  const SearchArguments& arguments_;
  Context& context_;
  std::vector<Query> queries_;
  std::vector<float> vectors_;
  std::size_t answered_ = 0;
  double recall_ = 0, recall_candidates_ = 0;
};

/// The model that embeds the queries.
Result<std::unique_ptr<Embedder>> open_embedder(const Corpus& corpus, const SearchArguments& arguments,
                                                const Context& context) {
  OpenOptions open = context.common.open_options(true);
  open.dtype = arguments.dtype;
  const Manifest* const manifest = corpus.manifest();
  if (manifest == nullptr && arguments.model.empty()) {
    return Error{ErrorCode::kUsage,
                 corpus.path() + ": a .npy does not say which model made it; give --model, or queries as -i FILE.npy"};
  }
  const std::string& name = arguments.model.empty() ? manifest->model_path : arguments.model;
  LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(name));
  if (manifest != nullptr)
    return reopen_run_embedder(*manifest, corpus.path(), folder, open, arguments.prompt, arguments.prompt_name);
  open.dtype = context.common.dtype;
  EmbedOptions options;
  options.prompt = arguments.prompt;
  options.prompt_name = arguments.prompt_name;
  return Embedder::open(folder, open, options);
}

Result<Metric> metric_of(const std::string& similarity, const std::string& whose, const SearchArguments& arguments) {
  if (arguments.metric) return *arguments.metric;
  if (const auto metric = metric_from_name(similarity)) return *metric;
  return Error{ErrorCode::kUsage, whose + ": compares its vectors by \"" + similarity +
                                      "\", which search does not know; --metric chooses cosine, dot or euclidean"};
}

/// What a run says of how its vectors are compared.
std::string similarity_of(const Corpus& corpus) {
  const Json config(corpus.manifest() == nullptr ? Json::Object() : corpus.manifest()->config);
  const Json* const recipe = config.find("embedding");
  const Json* const similarity = recipe == nullptr ? nullptr : recipe->find("similarity");
  return similarity == nullptr || similarity->string() == nullptr ? "cosine" : *similarity->string();
}

Result<int> search_vectors(Corpus corpus, const SearchArguments& arguments, Context& context) {
  const std::string& path = arguments.queries.path;
  if (arguments.prompt || arguments.prompt_name)
    return Error{ErrorCode::kUsage, "--prompt: only for queries that are texts, " + path + " holds vectors"};
  LAYERSCOPE_ASSIGN(const Corpus queries, Corpus::open(path, "", false));
  if (queries.dtype() != DType::kF32 && queries.dtype() != DType::kF16)
    return Error{ErrorCode::kUsage, path + ": queries of integers; give float32 vectors"};
  LAYERSCOPE_ASSIGN(const Metric metric, metric_of(similarity_of(corpus), corpus.path(), arguments));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<SearchCorpus> search,
                    SearchCorpus::open(arguments, std::move(corpus), queries.width(), metric, context.common.threads,
                                       context.common.isa));
  Answers answers(*search, arguments, context);
  const RowsView& rows = queries.blocks().front().values;
  std::vector<float> vector(static_cast<std::size_t>(rows.width));
  for (std::int64_t row = 0; row < rows.rows; ++row) {
    for (std::size_t i = 0; i < vector.size(); ++i) {
      vector[i] = rows.dtype == DType::kF32 ? rows.row<float>(row)[i] : f16_to_float(rows.row<std::uint16_t>(row)[i]);
    }
    if (!std::all_of(vector.begin(), vector.end(), [](float value) { return std::isfinite(value); }))
      return Error{ErrorCode::kRuntime, fmt::format("{}: row {} holds a value that is not finite", path, row)};
    LAYERSCOPE_ASSIGN(const bool more,
                      answers.add({row, std::to_string(row), fmt::format("{} row {}", visible(path), row)}, vector));
    if (!more) break;
  }
  LAYERSCOPE_TRY(answers.flush());
  answers.summarize();
  return 0;
}

Result<int> search_texts(Corpus corpus, const SearchArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Embedder> embedder, open_embedder(corpus, arguments, context));
  LAYERSCOPE_ASSIGN(const Metric metric, metric_of(embedder->similarity(), embedder->folder(), arguments));
  LAYERSCOPE_ASSIGN(const std::unique_ptr<SearchCorpus> search,
                    SearchCorpus::open(arguments, std::move(corpus), embedder->width(), metric, context.common.threads,
                                       context.common.isa));
  Answers answers(*search, arguments, context);
  const auto take = [&](const InputRow& row, std::span<const float> vector) -> Result<bool> {
    const TextRow& text = row.row;
    if (!text.text) return answers.add({row.number, "null", fmt::format("row {}", row.number)}, vector);
    const std::string whole = text.pair ? *text.text + " | " + *text.pair : *text.text;
    return answers.add({row.number, json_text(whole), "“" + visible(whole) + "”"}, vector);
  };
  LAYERSCOPE_ASSIGN(const RowCounts counts, embed_rows(*embedder, arguments.queries, context, take));
  LAYERSCOPE_TRY(answers.flush());
  answers.summarize();
  return counts.status();
}

}  // namespace

Result<int> run_search(const SearchArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(Corpus corpus, Corpus::open(arguments.corpus, arguments.site, arguments.allow_incomplete));
  if (!arguments.texts.empty() && corpus.manifest() != nullptr)
    LAYERSCOPE_TRY(check_texts(arguments.texts, *corpus.manifest(), corpus.path()));
  const bool vectors = arguments.queries.path.ends_with(".npy");
  return vectors ? search_vectors(std::move(corpus), arguments, context)
                 : search_texts(std::move(corpus), arguments, context);
}

}  // namespace layerscope::cli
