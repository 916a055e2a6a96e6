#include "cli/logits_rows.h"

#include <cmath>

#include "base/try.h"
#include "cli/rows.h"
#include "session/score_tiles.h"
#include "session/workers.h"
#include "view/model_view.h"

namespace layerscope::cli {

void Perplexity::add(const ScoredRow& row) {
  for (const PositionScores& scores : row.scores) {
    if (!scores.next) continue;
    nats -= scores.next->logprob;
    ++tokens;
  }
}

std::optional<double> Perplexity::value() const {
  if (tokens == 0) return std::nullopt;
  return std::exp(nats / static_cast<double>(tokens));
}

Result<LogitsRows> LogitsRows::open(const Model& model, const LogitsArguments& arguments, int threads, Take take) {
  LAYERSCOPE_TRY(model.load_head());
  LogitsRows rows(model, arguments, threads, std::move(take));
  rows.stack_ = head_input(model).stack;
  LAYERSCOPE_ASSIGN(const std::vector<Edit> edits, read_edits(arguments.edits, model.sites()));
  LAYERSCOPE_ASSIGN(rows.edits_, EditPlan::compile(model.sites(), edits));
  LAYERSCOPE_ASSIGN(rows.plan_, TapPlan::compile(model.sites(), {.sites = head_input(model).name,
                                                                 .positions = arguments.positions,
                                                                 .seed = arguments.seed}));
  return rows;
}

Result<RowCounts> LogitsRows::run(Context& context) {
  const auto handle = [&](const InputRow& input) -> Result<bool> {
    LAYERSCOPE_TRY(add(input));
    if (tokens_ >= threads_ * kBatchTokens) LAYERSCOPE_TRY(flush());
    return true;
  };
  Result<RowCounts> counts = each_row(arguments_.input, context, handle);
  LAYERSCOPE_TRY(flush());
  return counts;
}

Status LogitsRows::add(const InputRow& input) {
  LAYERSCOPE_ASSIGN(ModelRow row, model_.tokenize(input.row, arguments_.input.tokenize));
  tokens_ += static_cast<std::int64_t>(tokens_of(model_, row, stack_).ids.size());
  rows_.push_back({std::move(row), input.number});
  waiting_.push_back(input);
  return {};
}

Status LogitsRows::flush() {
  LAYERSCOPE_ASSIGN(std::vector<RowStates> states, whole_states(model_, plan_, std::move(rows_), threads_, &edits_));
  rows_.clear();
  tokens_ = 0;
  std::vector<ScoredRow> scored(states.size());
  std::vector<float> finals;
  std::vector<std::pair<std::size_t, std::size_t>> places;  // row, index of its position
  for (std::size_t k = 0; k < states.size(); ++k) {
    ScoredRow& row = scored[k];
    row.input = std::move(waiting_[k]);
    row.row = std::move(states[k].row);
    row.positions = kept_positions(plan_, row.input.number, tokens_of(model_, row.row, stack_));
    row.scores.resize(row.positions.size());
    finals.insert(finals.end(), states[k].sites.front().values.begin(), states[k].sites.front().values.end());
    for (std::size_t at = 0; at < row.positions.size(); ++at) places.emplace_back(k, at);
  }
  waiting_.clear();
  states.clear();
  const std::size_t top = arguments_.top_k.value_or(kDefaultTopK);
  const auto take = [&](std::int64_t position, std::span<const float> scores) -> Status {
    const auto [row, at] = places[static_cast<std::size_t>(position)];
    const std::vector<std::int32_t>& ids = tokens_of(model_, scored[row].row, stack_).ids;
    PositionScores& into = scored[row].scores[at];
    into.of = distribution(scores);
    into.top = top_scores(scores, top);
    const std::size_t behind = static_cast<std::size_t>(scored[row].positions[at]) + 1;
    if (!predicts_next() || behind >= ids.size()) return {};
    const std::int32_t id = ids[behind];
    into.next = {id, rank_of(scores, id), into.of.log_probability(scores[static_cast<std::size_t>(id)])};
    return {};
  };
  const std::int64_t width = plan_.stored().front().width;
  const RowsView view =
      rows_view(static_cast<const float*>(finals.data()), static_cast<std::int64_t>(places.size()), width);
  LAYERSCOPE_TRY(score_tiles(model_, view, threads_, take));
  for (const ScoredRow& row : scored) {
    perplexity_.add(row);
    take_(row);
  }
  return {};
}

}  // namespace layerscope::cli
