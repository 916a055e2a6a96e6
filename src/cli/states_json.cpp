#include <algorithm>
#include <exception>
#include <new>
#include <thread>

#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/grid_sink.h"
#include "cli/rows.h"
#include "session/workers.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

constexpr std::int64_t kBatchElements = std::int64_t{16} << 20;  // 64 MiB of float32: memory stays bounded

struct PendingRow {
  std::int64_t number = 0;
  std::optional<std::string> id;
  ModelRow row;
};

/// Rows that run together, with all their values: [row][stored site] elements in order.
struct PendingBatch {
  std::vector<PendingRow> rows;
  std::int64_t tokens = 0, elements = 0;
  std::vector<std::vector<std::vector<float>>> values;
  Status status;
};

class KeepSink final : public Sink {
 public:
  explicit KeepSink(PendingBatch& batch) : batch_(batch) {}
  [[nodiscard]] Status accept(const StateFrame& frame) override {
    std::vector<float>& values = batch_.values[frame.tag][static_cast<std::size_t>(frame.site)];
    const auto width = static_cast<std::size_t>(frame.rows.width);
    const std::size_t end = static_cast<std::size_t>(frame.first_row + frame.rows.rows) * width;
    if (values.size() < end) values.resize(end);
    for (std::int64_t row = 0; row < frame.rows.rows; ++row) {
      read_row(frame.rows, row, row_);
      std::ranges::copy(
          row_, values.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(frame.first_row + row) * width));
    }
    return {};
  }

 private:
  PendingBatch& batch_;
  std::vector<float> row_;
};

Status run_batch(const Model& model, const TapPlan& plan, const EditPlan& edits, PendingBatch& pending) {
  model.enter_worker();
  Batch batch;
  for (std::size_t k = 0; k < pending.rows.size(); ++k)
    model.append(batch, pending.rows[k].row, pending.rows[k].number, k);
  pending.values.assign(pending.rows.size(), std::vector<std::vector<float>>(plan.stored().size()));
  KeepSink sink(pending);
  return model.run(batch, plan, sink, &edits);
}

/// As run_batch, for a thread of its own: nothing is thrown out of it.
void run_worker(const Model& model, const TapPlan& plan, const EditPlan& edits, PendingBatch& pending) noexcept {
  try {
    pending.status = run_batch(model, plan, edits, pending);
  } catch (const std::bad_alloc&) {
    pending.status = Error{ErrorCode::kResource, "out of memory"};
  } catch (const std::exception& error) {
    pending.status = Error{ErrorCode::kRuntime, error.what()};
  }
}

/// values as [rows][width] arrays, and for probabilities as [heads][queries][keys].
void append_values(std::string& out, const StoredSite& site, const std::vector<float>& values, std::int64_t keys) {
  const bool probs = site.unit == StoredUnit::kProbs;
  const auto width = static_cast<std::size_t>(probs ? keys : site.width);
  const std::size_t rows = width == 0 ? 0 : values.size() / width;
  const std::size_t queries = probs && site.heads > 0 ? rows / static_cast<std::size_t>(site.heads) : rows;
  out += probs ? "[[" : "[";
  for (std::size_t row = 0; row < rows; ++row) {
    if (row > 0) out += probs && row % queries == 0 ? "],[" : ",";
    out += '[';
    for (std::size_t k = 0; k < width; ++k) {
      if (k > 0) out += ',';
      append_json_number(out, values[row * width + k]);
    }
    out += ']';
  }
  out += probs ? "]]" : "]";
}

class JsonRows {
 public:
  JsonRows(const Model& model, const TapPlan& plan, const EditPlan& edits, const StatesArguments& arguments,
           Context& context)
      : model_(model), plan_(plan), edits_(edits), arguments_(arguments), context_(context) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    workers_ = context.common.threads > 0 ? static_cast<std::size_t>(context.common.threads) : cores;
  }

  Result<bool> row(const InputRow& input) {
    LAYERSCOPE_ASSIGN(ModelRow row, model_.tokenize(input.row, arguments_.input.tokenize));
    const std::array<std::int64_t, 2> counts = token_counts(model_, row);
    std::int64_t elements = 0;
    for (std::size_t site = 0; site < plan_.stored().size(); ++site)
      elements += plan_.stored_elements(site, input.number, counts);
    const bool full = !batches_.empty() && (batches_.back().tokens + counts[0] + counts[1] > kBatchTokens ||
                                            batches_.back().elements + elements > kBatchElements);
    if (batches_.empty() || full) {
      if (batches_.size() == workers_) LAYERSCOPE_TRY(flush());
      batches_.emplace_back();
    }
    PendingBatch& batch = batches_.back();
    batch.tokens += counts[0] + counts[1];
    batch.elements += elements;
    batch.rows.push_back({input.number, input.id, std::move(row)});
    return true;
  }

  /// Runs what waits, a thread a batch, and prints it in order.
  Status flush() {
    {
      std::vector<std::jthread> threads;
      for (std::size_t k = 1; k < batches_.size(); ++k) {
        threads.emplace_back(run_worker, std::cref(model_), std::cref(plan_), std::cref(edits_), std::ref(batches_[k]));
      }
      if (!batches_.empty()) run_worker(model_, plan_, edits_, batches_.front());
    }
    for (const PendingBatch& batch : batches_) {
      LAYERSCOPE_TRY(batch.status);
      for (std::size_t k = 0; k < batch.rows.size(); ++k) print(batch.rows[k], batch.values[k]);
    }
    batches_.clear();
    context_.out.flush();
    return {};
  }

 private:
  /// One value, or {enc, dec} with two stacks.
  template <class Append>
  void per_stack(std::string& out, const ModelRow& row, const Append& append) {
    if (!model_.info().two_stacks) return append(out, row.main, only_stack());
    out += "{\"enc\":";
    append(out, row.main, StackId::kEncoder);
    out += ",\"dec\":";
    append(out, tokens_of(model_, row, StackId::kDecoder), StackId::kDecoder);
    out += '}';
  }

  [[nodiscard]] StackId only_stack() const {
    return model_.sites().layers[0] > 0 ? StackId::kEncoder : StackId::kDecoder;
  }

  void print(const PendingRow& pending, const std::vector<std::vector<float>>& values) {
    std::string out = fmt::format("{{\"row\":{},\"id\":{},\"input_ids\":", pending.number, pending.id.value_or("null"));
    per_stack(out, pending.row,
              [](std::string& text, const Tokens& tokens, StackId) { append_numbers_json(text, tokens.ids); });
    out += ",\"tokens\":";
    per_stack(out, pending.row, [this](std::string& text, const Tokens& tokens, StackId) {
      append_tokens_json(text, model_, tokens.ids);
    });
    if (plan_.has_picks()) {
      out += ",\"positions\":";
      per_stack(out, pending.row, [&](std::string& text, const Tokens& tokens, StackId) {
        append_numbers_json(text, plan_.picks(pending.number, static_cast<std::int64_t>(tokens.ids.size())));
      });
    }
    out += ",\"states\":{";
    const std::array<std::int64_t, 2> counts = token_counts(model_, pending.row);
    for (std::size_t site = 0; site < values.size(); ++site) {
      const StoredSite& stored = plan_.stored()[site];
      if (site > 0) out += ',';
      append_json_string(out, stored.name);
      out += ':';
      append_values(out, stored, values[site],
                    counts[static_cast<std::size_t>(stored.cross ? StackId::kEncoder : stored.stack)]);
      context_.out.write(out);
      out.clear();
    }
    context_.out.write(out + "}}\n");
  }

  const Model& model_;
  const TapPlan& plan_;
  const EditPlan& edits_;
  const StatesArguments& arguments_;
  Context& context_;
  std::size_t workers_ = 1;
  std::vector<PendingBatch> batches_;
};

}  // namespace

Result<int> run_states_json(const Model& model, const StatesArguments& arguments, const EditPlan& edits,
                            Context& context) {
  LAYERSCOPE_ASSIGN(const TapPlan plan, TapPlan::compile(model.sites(), arguments.request));
  JsonRows rows(model, plan, edits, arguments, context);
  Result<RowCounts> counts = each_row(arguments.input, context, [&](const InputRow& row) { return rows.row(row); });
  LAYERSCOPE_TRY(rows.flush());
  if (!counts) return std::move(counts).error();
  return counts->status();
}

}  // namespace layerscope::cli
