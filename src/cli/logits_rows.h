// What `logits` tells of each position: computed a few rows at a time, delivered row by row in order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "analysis/scores.h"
#include "cli/commands.h"
#include "cli/rows.h"
#include "job/input.h"
#include "session/whole_states.h"

namespace layerscope::cli {

/// The token that really stands behind a position.
struct NextToken {
  std::int32_t id = 0;
  std::int64_t rank = 0;  ///< its place among all, 0 = first
  double logprob = 0;     ///< ln of its probability
};

struct PositionScores {
  std::vector<ScoredId> top;
  Distribution of;
  std::optional<NextToken> next;  ///< nothing at the end of a row, and for masked language models
};

struct ScoredRow {
  InputRow input;
  ModelRow row;
  std::vector<std::int32_t> positions;  ///< that were kept, ascending
  std::vector<PositionScores> scores;   ///< one a position
};

/// Sum of surprise over tokens.
struct Perplexity {
  double nats = 0;
  std::int64_t tokens = 0;
  void add(const ScoredRow& row);
  /// exp(nats / tokens); nothing without tokens.
  [[nodiscard]] std::optional<double> value() const;
};

class LogitsRows {
 public:
  using Take = std::function<void(const ScoredRow&)>;
  /// `model` and `arguments` outlive this.
  [[nodiscard]] static Result<LogitsRows> open(const Model& model, const LogitsArguments& arguments, int threads,
                                               Take take);
  /// True if each position predicts what follows it, rather than what stands there.
  [[nodiscard]] bool predicts_next() const noexcept { return stack_ == StackId::kDecoder; }
  [[nodiscard]] StackId stack() const noexcept { return stack_; }
  /// All rows of the input. Errors: as each_row.
  [[nodiscard]] Result<RowCounts> run(Context& context);
  [[nodiscard]] const Perplexity& perplexity() const noexcept { return perplexity_; }

 private:
  LogitsRows(const Model& model, const LogitsArguments& arguments, int threads, Take take)
      : model_(model), arguments_(arguments), threads_(threads), take_(std::move(take)) {}
  [[nodiscard]] Status add(const InputRow& input);
  [[nodiscard]] Status flush();

  const Model& model_;
  const LogitsArguments& arguments_;
  int threads_;
  Take take_;
  StackId stack_ = StackId::kDecoder;
  TapPlan plan_;
  EditPlan edits_;
  std::vector<InputRow> waiting_;
  std::vector<NumberedRow> rows_;
  std::int64_t tokens_ = 0;
  Perplexity perplexity_;
};

}  // namespace layerscope::cli
