#include "job/logits_job.h"

#include <algorithm>
#include <array>
#include <vector>

#include "analysis/scores.h"
#include "base/try.h"
#include "job/bulk_job.h"
#include "session/score_tiles.h"

namespace layerscope {
namespace {

enum TopSite : int { kTopIds, kTopValues, kEntropy, kLogSum, kTopSites };

/// `final` of a whole batch, in the order in which it came.
class Finals final : public Sink {
 public:
  struct Piece {
    std::uint64_t tag = 0;
    std::int64_t first_row = 0, rows = 0;
  };
  Status accept(const StateFrame& frame) override {
    pieces.push_back({frame.tag, frame.first_row, frame.rows.rows});
    for (std::int64_t k = 0; k < frame.rows.rows; ++k)
      values.insert(values.end(), frame.rows.row<float>(k), frame.rows.row<float>(k) + frame.rows.width);
    return {};
  }
  std::vector<Piece> pieces;
  std::vector<float> values;
};

/// Values of one site of a whole batch.
template <class T>
class Column {
 public:
  Column(DType dtype, std::int64_t rows, std::int64_t width)
      : dtype_(dtype), width_(width), values_(static_cast<std::size_t>(rows * width)) {}
  [[nodiscard]] T* row(std::int64_t index) { return values_.data() + index * width_; }
  /// Delivers the rows as they came, in pieces.
  Status deliver(int site, const std::vector<Finals::Piece>& pieces, Sink& sink) const {
    std::int64_t at = 0;
    for (const Finals::Piece& piece : pieces) {
      const T* const first = values_.data() + at * width_;
      const RowsView rows{dtype_, reinterpret_cast<const std::byte*>(first), piece.rows, width_, width_};
      LAYERSCOPE_TRY(sink.accept({site, piece.tag, piece.first_row, rows}));
      at += piece.rows;
    }
    return {};
  }

 private:
  DType dtype_;
  std::int64_t width_;
  std::vector<T> values_;
};

/// A model whose sites are the best of its scores.
class TopRunner final : public RowRunner {
 public:
  static Result<TopRunner> make(const Model& model, std::size_t top_k, const StatesJobOptions& options) {
    TopRunner runner(model, std::min(static_cast<std::int64_t>(top_k), score_count(model)));
    const Site& input = head_input(model);
    runner.sites_.layers = model.sites().layers;
    const std::array<std::pair<const char*, std::int64_t>, kTopSites> sites{{{"logits.top_ids", runner.k_},
                                                                             {"logits.top_values", runner.k_},
                                                                             {"logits.entropy", 1},
                                                                             {"logits.log_sum", 1}}};
    for (const auto& [name, width] : sites)
      runner.sites_.sites.push_back({.name = name, .stack = input.stack, .kind = SiteKind::kFinal, .width = width});
    runner.sites_.sites[kTopIds].dtype = DType::kI32;
    LAYERSCOPE_ASSIGN(runner.finals_, TapPlan::compile(model.sites(), {.sites = input.name,
                                                                       .positions = options.request.positions,
                                                                       .seed = options.request.seed}));
    LAYERSCOPE_ASSIGN(runner.edits_, EditPlan::compile(model.sites(), options.edits));
    return runner;
  }
  const ModelInfo& info() const noexcept override { return model_.info(); }
  const SiteTable& sites() const noexcept override { return sites_; }
  Result<ModelRow> tokenize(const TextRow& row, const TokenizeOptions& options) const override {
    return model_.tokenize(row, options);
  }
  void append(Batch& batch, const ModelRow& row, std::int64_t row_number, std::uint64_t tag) const override {
    model_.append(batch, row, row_number, tag);
  }
  Status run(const Batch& batch, const TapPlan&, Sink& sink) const override {
    Finals finals;
    LAYERSCOPE_TRY(model_.run(batch, finals_, finals, &edits_));
    const std::int64_t width = finals_.stored().front().width;
    const auto rows = static_cast<std::int64_t>(finals.values.size()) / width;
    Column<std::int32_t> ids(DType::kI32, rows, k_);
    Column<float> values(DType::kF32, rows, k_);
    Column<float> entropy(DType::kF32, rows, 1);
    Column<float> log_sum(DType::kF32, rows, 1);
    const auto take = [&](std::int64_t row, std::span<const float> scores) -> Status {
      const Distribution of = distribution(scores);
      *entropy.row(row) = static_cast<float>(of.entropy);
      *log_sum.row(row) = static_cast<float>(of.log_sum_exp);
      std::int64_t at = 0;
      for (const ScoredId& best : top_scores(scores, static_cast<std::size_t>(k_))) {
        ids.row(row)[at] = best.id;
        values.row(row)[at++] = best.score;
      }
      return {};
    };
    LAYERSCOPE_TRY(
        each_score_row(model_, rows_view(static_cast<const float*>(finals.values.data()), rows, width), take));
    LAYERSCOPE_TRY(ids.deliver(kTopIds, finals.pieces, sink));
    LAYERSCOPE_TRY(values.deliver(kTopValues, finals.pieces, sink));
    LAYERSCOPE_TRY(entropy.deliver(kEntropy, finals.pieces, sink));
    return log_sum.deliver(kLogSum, finals.pieces, sink);
  }
  void enter_worker() const override { model_.enter_worker(); }

 private:
  TopRunner(const Model& model, std::int64_t k) : model_(model), k_(k) {}

  const Model& model_;
  std::int64_t k_;
  SiteTable sites_;
  TapPlan finals_;
  EditPlan edits_;
};

}  // namespace

Result<JobResult> run_logits_job(const Model& model, RowReader& rows, const StatesJobOptions& options,
                                 std::optional<std::size_t> top_k, const JobHooks& hooks) {
  LAYERSCOPE_TRY(model.load_head());
  StatesJobOptions own = options;
  if (!top_k) {
    own.request.sites = "logits";
    return run_states_job(model, rows, own, hooks);
  }
  own.request.sites = "logits.**";
  own.request.save_dtype = DType::kF32;
  LAYERSCOPE_ASSIGN(const TopRunner runner, TopRunner::make(model, *top_k, options));
  return run_bulk_job(runner, rows, own, hooks);
}

}  // namespace layerscope
