#include "session/classify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "base/try.h"
#include "session/model_state.h"
#include "session/workers.h"
#include "tap/pool.h"

namespace layerscope {
namespace {

using Reads = LabelHead::Reads;

// One row on its way: what of its final states the head reads.
struct Item {
  ModelRow row;
  std::int64_t tokens = 0;    // of the stack that the head reads
  std::int64_t position = 0;  // that the head reads, where it reads one
};

bool reads_all(Reads reads) { return reads == Reads::kEach || reads == Reads::kEachThenMean; }

// The one token that the head reads. (transformers, modeling_layers.py: GenericForSequenceClassification;
// modeling_bart.py: BartForSequenceClassification)
Result<std::int64_t> position_of(const LabelHead& labels, const Item& item) {
  const auto& ids = item.row.main.ids;
  const auto is_token = [&](std::int32_t id) { return labels.token && id == *labels.token; };
  if (labels.reads == Reads::kLast) {
    const auto last = std::find_if_not(ids.rbegin(), ids.rend(), is_token);
    return last == ids.rend() ? 0 : static_cast<std::int64_t>(ids.rend() - last) - 1;
  }
  if (labels.reads != Reads::kEnd) return 0;
  const auto end = std::find_if(ids.rbegin(), ids.rend(), is_token);
  if (end == ids.rend())
    return Error{ErrorCode::kInput, "the row has no end token (id " + std::to_string(labels.token.value_or(0)) +
                                        "), under which the classifier reads"};
  const auto position = static_cast<std::int64_t>(ids.rend() - end) - 1;
  if (position >= item.tokens)
    return Error{ErrorCode::kInput, "the decoder's input ends before the end token, under which the classifier reads"};
  return position;
}

// Keeps of every sequence what the head reads, end to end.
class Kept : public Sink {
 public:
  Kept(Reads reads, std::int64_t width, std::span<const Item> items) : reads_(reads), width_(width), items_(items) {
    for (const Item& item : items) {
      first_.push_back(rows_);
      rows_ += reads_all(reads) ? item.tokens : 1;
    }
    values_.resize(static_cast<std::size_t>(rows_ * width));
  }
  Status accept(const StateFrame& frame) override {
    const auto index = static_cast<std::size_t>(frame.tag);
    const Item& item = items_[index];
    float* to = values_.data() + first_[index] * width_;
    for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
      const std::int64_t position = frame.first_row + i;
      const float* row = frame.rows.row<float>(i);
      if (reads_ == Reads::kMean) {
        if (position == 0) pool_.begin(Pooling::kMean, width_, item.tokens);
        pool_.add(row, position);
        if (position + 1 == item.tokens) std::ranges::copy(pool_.finish(), to);
      } else if (reads_all(reads_)) {
        std::copy_n(row, width_, to + position * width_);
      } else if (position == item.position) {
        std::copy_n(row, width_, to);
      }
    }
    return {};
  }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }
  [[nodiscard]] RowsView view() const noexcept {
    return {
        .data = reinterpret_cast<const std::byte*>(values_.data()), .rows = rows_, .width = width_, .stride = width_};
  }

 private:
  Reads reads_;
  std::int64_t width_, rows_ = 0;
  std::span<const Item> items_;
  std::vector<std::int64_t> first_;
  std::vector<float> values_;
  RowPool pool_;
};

void add_probabilities(LabelProblem problem, std::size_t labels, LabelScores& scores) {
  if (problem == LabelProblem::kRegression) return;
  for (std::size_t first = 0; first < scores.logits.size(); first += labels) {
    const auto row = std::span(scores.logits).subspan(first, labels);
    const double top = static_cast<double>(*std::ranges::max_element(row));
    double sum = 0;
    for (const float logit : row) sum += std::exp(static_cast<double>(logit) - top);
    for (const float logit : row) {
      const double x = static_cast<double>(logit);
      const double p = problem == LabelProblem::kManyLabels ? 1 / (1 + std::exp(-x)) : std::exp(x - top) / sum;
      scores.probabilities.push_back(static_cast<float>(p));
    }
  }
}

std::vector<float> mean_of(std::span<const float> rows, std::size_t width) {
  RowPool pool;
  const auto count = static_cast<std::int64_t>(rows.size() / width);
  pool.begin(Pooling::kMean, static_cast<std::int64_t>(width), count);
  for (std::int64_t i = 0; i < count; ++i) pool.add(rows.data() + static_cast<std::size_t>(i) * width, i);
  const std::span<const float> mean = pool.finish();
  return {mean.begin(), mean.end()};
}

// Items first ... of one batch, their scores into `results`.
Status classify_batch(const Model& model, const TapPlan& plan, std::span<const Item> items, std::size_t first,
                      std::span<LabelScores> results) {
  const ModelSpec& spec = model.state().spec;
  const LabelHead& labels = *spec.labels;
  const std::size_t width = labels.names.size();
  Batch batch;
  for (std::size_t i = 0; i < items.size(); ++i)
    model.append(batch, items[i].row, static_cast<std::int64_t>(first + i), i);
  Kept kept(labels.reads, spec.stack(spec.head_stack()).final_width(spec.width), items);
  LAYERSCOPE_TRY(model.run(batch, plan, kept));
  std::vector<float> scores(static_cast<std::size_t>(kept.rows()) * width);
  const MutableRows out{.data = reinterpret_cast<std::byte*>(scores.data()),
                        .rows = kept.rows(),
                        .width = static_cast<std::int64_t>(width),
                        .stride = static_cast<std::int64_t>(width)};
  LAYERSCOPE_TRY(model.state().engine->label_scores(kept.view(), out));
  std::size_t at = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto rows = static_cast<std::size_t>(reads_all(labels.reads) ? items[i].tokens : 1);
    const auto own = std::span(scores).subspan(at * width, rows * width);
    LabelScores& result = results[i];
    at += rows;
    if (!std::ranges::all_of(own, [](float score) { return std::isfinite(score); }))
      return Error{ErrorCode::kRuntime,
                   "the scores of labels hold NaN or infinity in row " + std::to_string(first + i)};
    if (labels.reads == Reads::kEachThenMean)
      result.logits = mean_of(own, width);
    else
      result.logits.assign(own.begin(), own.end());
    result.rows = static_cast<std::int64_t>(result.logits.size() / width);
    add_probabilities(labels.problem, width, result);
  }
  return {};
}

Error in_row(const Error& error, std::size_t row, std::size_t rows) {
  return {error.code, rows == 1 ? error.message : "row " + std::to_string(row) + ": " + error.message};
}

}  // namespace

Result<std::vector<LabelScores>> classify_rows(const Model& model, std::vector<ModelRow> rows, int threads) try {
  const ModelState& state = model.state();
  if (!state.no_labels.empty()) return Error{ErrorCode::kModel, state.no_labels};
  const ModelSpec& spec = state.spec;
  const std::string final = stack_prefix(spec, spec.head_stack()) + "final";
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(model.sites(), {.sites = final}));
  std::vector<Item> items(rows.size());
  std::vector<std::size_t> begins;  // of every batch
  std::int64_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    items[i].row = std::move(rows[i]);
    items[i].tokens =
        static_cast<std::int64_t>((items[i].row.decoder ? *items[i].row.decoder : items[i].row.main).ids.size());
    const auto position = position_of(*spec.labels, items[i]);
    if (!position) return in_row(position.error(), i, rows.size());
    items[i].position = *position;
    const auto added = static_cast<std::int64_t>(items[i].row.main.ids.size());
    if (begins.empty() || tokens + added > kBatchTokens) {
      begins.push_back(i);
      tokens = 0;
    }
    tokens += added;
  }
  std::vector<LabelScores> results(rows.size());
  LAYERSCOPE_TRY(for_each_index(model, begins.size(), threads, [&](std::size_t batch) {
    const std::size_t first = begins[batch], end = batch + 1 < begins.size() ? begins[batch + 1] : rows.size();
    return classify_batch(model, plan, std::span<const Item>(items).subspan(first, end - first), first,
                          std::span(results).subspan(first, end - first));
  }));
  return results;
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource, "out of memory while rows were classified"};
}

Result<std::vector<LabelScores>> Model::classify(const std::vector<TextRow>& rows,
                                                 const ClassifyOptions& options) const {
  if (!state_->no_labels.empty()) return Error{ErrorCode::kModel, state_->no_labels};
  std::vector<ModelRow> ready;
  for (const TextRow& row : rows) {
    auto made = tokenize(row, options.tokenize);
    if (!made) return in_row(made.error(), ready.size(), rows.size());
    ready.push_back(std::move(made).value());
  }
  return classify_rows(*this, std::move(ready), options.threads);
}

}  // namespace layerscope
