#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/logits_rows.h"
#include "cli/rows.h"
#include "session/workers.h"
#include "view/color_ramp.h"
#include "view/display_text.h"
#include "view/model_view.h"

namespace layerscope::cli {
namespace {

constexpr std::int64_t kMostTexts = 24;
constexpr std::size_t kMostPositions = 40;  // of a text, without --all
constexpr std::size_t kTokenColumns = 10;
constexpr std::size_t kPredictionColumns = 14;
constexpr std::size_t kSpread = 6;  // " 12.34"
constexpr std::size_t kNext = 14;   // "  0.123 #12345"

/// "0.71", "1e-05": a probability in at most five columns.
std::string probability_text(double p) {
  if (p >= 0.0005) return fmt::format("{:.3f}", p);
  return p > 0 ? fmt::format("{:.0e}", p) : "0";
}

class Picture {
 public:
  Picture(const Model& model, const LogitsArguments& arguments, Context& context)
      : model_(model), arguments_(arguments), context_(context), mask_(mask_id(model)) {}

  void header(bool predicts_next) {
    predicts_next_ = predicts_next;
    const std::size_t columns = context_.terminal.columns;
    context_.out.write(bold(clipped_middle(model_title(model_), columns), color()) + "\n");
    const std::string_view what = predicts_next
                                      ? "what follows each token: entropy, p and rank of the true one, the likeliest"
                                      : "what fills each place: entropy, the likeliest tokens";
    context_.out.write(clipped(what, columns) + "\n");
  }

  void row(const ScoredRow& row) {
    if (++seen_ > kMostTexts) return;
    context_.out.write("\n" + quoted(row.input, context_.terminal.columns - 2) + "\n");
    const StackId stack = predicts_next_ ? StackId::kDecoder : StackId::kEncoder;
    const std::vector<std::int32_t>& ids = tokens_of(model_, row.row, stack).ids;
    const std::vector<std::size_t> shown = shown_positions(row, ids);
    for (std::size_t k = 0; k < shown.size(); ++k) {
      if (k > 0 ? shown[k] != shown[k - 1] + 1 : shown[k] != 0) gap(shown[k] - (k > 0 ? shown[k - 1] + 1 : 0));
      position(row, shown[k], ids);
    }
    const std::size_t end = shown.empty() ? 0 : shown.back() + 1;
    if (end < row.scores.size()) gap(row.scores.size() - end);
    Perplexity perplexity;
    perplexity.add(row);
    if (const auto value = perplexity.value())
      context_.out.write(dim(fmt::format("perplexity {:.4g} over {} tokens", *value, perplexity.tokens), color()) +
                         "\n");
    context_.out.flush();
  }

  void finish(const Perplexity& all, std::int64_t rows) {
    if (const auto value = all.value(); value && rows > 1) {
      context_.out.write(fmt::format("\nperplexity of all {} rows {:.4g} over {} tokens\n", rows, *value, all.tokens));
    }
    if (seen_ > kMostTexts)
      context_.messages.note(fmt::format("drawn: the first {} rows; --json or -o RUN take all", kMostTexts));
  }

 private:
  [[nodiscard]] ColorDepth color() const { return context_.terminal.color; }

  /// Masks where there are any, else a long text's two ends.
  [[nodiscard]] std::vector<std::size_t> shown_positions(const ScoredRow& row,
                                                         const std::vector<std::int32_t>& ids) const {
    std::vector<std::size_t> shown;
    const std::size_t count = row.scores.size();
    for (std::size_t k = 0; k < count && !arguments_.all && !predicts_next_ && mask_; ++k) {
      if (ids[static_cast<std::size_t>(row.positions[k])] == *mask_) shown.push_back(k);
    }
    if (!shown.empty()) return shown;
    const bool cut = !arguments_.all && count > kMostPositions;
    const std::size_t tail = cut ? kMostPositions / 3 : 0;
    for (std::size_t k = 0; k < count; ++k) {
      if (!cut || k < kMostPositions - tail || k >= count - tail) shown.push_back(k);
    }
    return shown;
  }

  void gap(std::size_t count) {
    const std::string text = fmt::format("  ⋮ {} more position{}", count, count == 1 ? "" : "s");
    context_.out.write(dim(clipped(text, context_.terminal.columns), color()) + "\n");
  }

  void position(const ScoredRow& row, std::size_t k, const std::vector<std::int32_t>& ids) {
    const PositionScores& scores = row.scores[k];
    const auto at = static_cast<std::size_t>(row.positions[k]);
    const std::size_t number_columns = std::max<std::size_t>(3, std::to_string(ids.size()).size());
    std::string line = dim(right_aligned(std::to_string(at), number_columns), color()) + " " +
                       left_aligned(token_label(model_, ids[at]), kTokenColumns) +
                       right_aligned(fmt::format("{:.2f}", scores.of.entropy), kSpread);
    std::size_t used = number_columns + 1 + kTokenColumns + kSpread;
    if (predicts_next_) {
      const std::string next =
          scores.next ? fmt::format("{} #{}", probability_text(std::exp(scores.next->logprob)), scores.next->rank + 1)
                      : "";
      line += "  " + left_aligned(next, kNext - 2);
      used += kNext;
    }
    for (const ScoredId& best : scores.top) {
      if (used + 1 + kPredictionColumns > context_.terminal.columns) break;
      const double p = scores.of.probability(best.score);
      const std::string text = left_aligned(token_label(model_, best.id), kPredictionColumns - 6) + " " +
                               right_aligned(probability_text(p), 5);
      line += " " + on_ramp(text, p, color());
      used += 1 + kPredictionColumns;
    }
    while (line.ends_with(' ')) line.pop_back();
    context_.out.write(line + "\n");
  }

  const Model& model_;
  const LogitsArguments& arguments_;
  Context& context_;
  std::optional<std::int32_t> mask_;
  bool predicts_next_ = true;
  std::int64_t seen_ = 0;
};

}  // namespace

Result<int> run_logits_picture(const Model& model, const LogitsArguments& arguments, Context& context) {
  Picture picture(model, arguments, context);
  const auto take = [&](const ScoredRow& row) { picture.row(row); };
  LAYERSCOPE_ASSIGN(LogitsRows rows, LogitsRows::open(model, arguments, all_cores(context.common.threads), take));
  picture.header(rows.predicts_next());
  LAYERSCOPE_ASSIGN(const RowCounts counts, rows.run(context));
  picture.finish(rows.perplexity(), counts.rows);
  return counts.status();
}

}  // namespace layerscope::cli
