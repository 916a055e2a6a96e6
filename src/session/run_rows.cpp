#include "session/run_rows.h"

#include <algorithm>
#include <functional>
#include <new>
#include <numeric>
#include <queue>

#include "base/try.h"
#include "session/model_state.h"
#include "session/rows.h"
#include "session/workers.h"
#include "tap/reducer.h"

namespace layerscope {
namespace {

// Ends a run at the next value that it shows.
class StoppableSink final : public Sink {
 public:
  StoppableSink(Sink& sink, const std::atomic<bool>& stop) : sink_(sink), stop_(stop) {}
  Status accept(const StateFrame& frame) override {
    if (stop_) return Error{ErrorCode::kCancelled, "stopped"};
    return sink_.accept(frame);
  }

 private:
  Sink& sink_;
  const std::atomic<bool>& stop_;
};

std::int64_t tokens_of(const ModelRow& row) {
  return static_cast<std::int64_t>(row.main.ids.size() + (row.decoder ? row.decoder->ids.size() : 0));
}

}  // namespace

RowGroups group_rows(std::span<const std::int64_t> tokens, int threads) {
  RowGroups result;
  if (tokens.empty()) return result;
  const std::int64_t total = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  const std::int64_t longest = *std::ranges::max_element(tokens);
  const auto workers = static_cast<std::int64_t>(std::max(threads, 1));
  result.shared = workers > 1 && longest > total / workers + total / (4 * workers);
  const std::int64_t wanted = (total + kBatchTokens - 1) / kBatchTokens;
  const auto count = static_cast<std::size_t>(std::clamp<std::int64_t>(
      result.shared ? wanted : std::max(wanted, workers), 1, static_cast<std::int64_t>(tokens.size())));
  result.groups.resize(count);
  // The longest row that is left goes to the lightest group. (Graham 1969)
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return tokens[a] > tokens[b]; });
  using Load = std::pair<std::int64_t, std::size_t>;
  std::priority_queue<Load, std::vector<Load>, std::greater<>> loads;
  for (std::size_t group = 0; group < count; ++group) loads.emplace(0, group);
  for (const std::size_t row : order) {
    const auto [load, group] = loads.top();
    loads.pop();
    result.groups[group].push_back(row);
    loads.emplace(load + tokens[row], group);
  }
  return result;
}

Status run_batch(const Model& model, const Batch& batch, const TapPlan& plan, Sink& sink, const EditPlan* edits,
                 Team* team) try {
  const ModelState& state = model.state();
  if (!state.engine) return Error{ErrorCode::kUsage, "the model was opened without its weights"};
  LAYERSCOPE_TRY(check_batch(state, batch));
  Reducer reducer(batch, plan, sink);
  return state.engine->run(batch, plan, reducer, {.edits = edits, .team = team});
} catch (const std::bad_alloc&) {
  return Error{ErrorCode::kResource,
               "out of memory while running a batch of " + std::to_string(batch.sequences()) + " rows"};
}

Status run_rows(const Model& model, const TapPlan& plan, std::span<const RowToRun> rows, Sink& sink,
                const RunRowsOptions& options) {
  if (!model.state().engine) return Error{ErrorCode::kUsage, "the model was opened without its weights"};
  std::vector<std::int64_t> tokens;
  for (const RowToRun& row : rows) tokens.push_back(tokens_of(*row.row));
  const RowGroups groups = group_rows(tokens, options.threads);
  static const std::atomic<bool> never = false;
  const std::atomic<bool>& stop = options.stop != nullptr ? *options.stop : never;
  StoppableSink stoppable(sink, stop);
  std::unique_ptr<Team> team;
  if (groups.shared) team = std::make_unique<Team>(model.state().engine->backend(), options.threads);
  return for_each_index(model, groups.groups.size(), groups.shared ? 1 : options.threads, [&](std::size_t i) -> Status {
    if (stop) return Error{ErrorCode::kCancelled, "stopped"};
    Batch batch;
    for (const std::size_t row : groups.groups[i]) model.append(batch, *rows[row].row, rows[row].number, row);
    return run_batch(model, batch, plan, stoppable, options.edits, team.get());
  });
}

}  // namespace layerscope
