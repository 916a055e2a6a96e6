#include "job/embed_job.h"

#include <algorithm>

#include "job/bulk_job.h"

namespace layerscope {
namespace {

/// An embedder as a model whose one site is the finished vector.
class EmbedRunner final : public RowRunner {
 public:
  explicit EmbedRunner(const Embedder& embedder) : embedder_(embedder), info_(embedder_info(embedder)) {
    const SiteTable& whole = embedder.model().sites();
    const StackId stack = whole.layers[0] > 0 ? StackId::kEncoder : StackId::kDecoder;
    sites_.layers = whole.layers;
    sites_.sites = {{.name = "embedding", .stack = stack, .kind = SiteKind::kFinal, .width = embedder.width()}};
  }
  const ModelInfo& info() const noexcept override { return info_; }
  const SiteTable& sites() const noexcept override { return sites_; }
  Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions&) const override {
    return embedder_.tokenize(row);
  }
  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const override {
    embedder_.append(batch, row, row_number, tag);
  }
  Status run(const Batch& batch, const TapPlan&, Sink& sink) const override { return embedder_.run(batch, sink); }
  void enter_worker() const override { embedder_.model().enter_worker(); }
  PickTokens picks() const override {
    if (embedder_.kind() != VectorKind::kTokens) return {};
    return [this](const ModelRow& row) { return embedder_.vector_places(row); };
  }

 private:
  const Embedder& embedder_;
  ModelInfo info_;
  SiteTable sites_;
};

}  // namespace

ModelInfo embedder_info(const Embedder& embedder) {
  ModelInfo info = embedder.model().info();
  info.path = embedder.folder();
  for (const std::string& file : embedder.files()) {
    if (std::find(info.files.begin(), info.files.end(), file) == info.files.end()) info.files.push_back(file);
  }
  return info;
}

Result<JobResult> run_embed_job(const Embedder& embedder, RowReader& rows, const StatesJobOptions& options,
                                const JobHooks& hooks) {
  StatesJobOptions own = options;
  own.request = {.sites = "embedding"};
  if (embedder.kind() == VectorKind::kSparse)
    return Error{ErrorCode::kUsage, options.run_folder + ": a run of sparse vectors is not supported"};
  if (embedder.kind() == VectorKind::kTokens)
    own.request.positions = "first";  // some positions: the embedder says which
  else
    own.request.pool = Pooling::kMean;  // one row a text
  own.tokenize = embedder.tokenize_options();
  own.embedding = embedder.recipe();
  return run_bulk_job(EmbedRunner(embedder), rows, own, hooks);
}

}  // namespace layerscope
