#include "cli/embed_rows.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "base/try.h"
#include "cli/signals.h"

namespace layerscope::cli {
namespace {

// A round keeps every thread busy with many batches, and its rows and vectors in memory.
constexpr std::size_t kRowsOfThread = 1024;
constexpr std::size_t kBytesOfThread = std::size_t{192} << 10;

class Rounds {
 public:
  Rounds(const Embedder& embedder, const InputArguments& input, Context& context, const TakeTextVectors& take)
      : embedder_(embedder), input_(input), context_(context), take_(take) {
    threads_ = context.common.threads > 0 ? static_cast<std::size_t>(context.common.threads)
                                          : std::max<std::size_t>(1, std::thread::hardware_concurrency());
  }

  void add(InputRow row) {
    const TextRow& text = row.row;
    bytes_ += (text.text ? text.text->size() : 0) + (text.pair ? text.pair->size() : 0) +
              (text.ids ? 4 * text.ids->size() : 0);
    rows_.push_back(std::move(row));
  }
  [[nodiscard]] bool full() const {
    return rows_.size() >= kRowsOfThread * threads_ || bytes_ >= kBytesOfThread * threads_;
  }

  /// Embeds what waits. False if no more rows are wanted.
  Result<bool> run() {
    std::vector<TextRow> texts;
    for (const InputRow& row : rows_) texts.push_back(row.row);
    const int threads = static_cast<int>(threads_);
    std::vector<Result<ModelRow>> ready = embedder_.tokenize(texts, threads);
    std::vector<std::size_t> good;
    std::vector<ModelRow> models;
    std::optional<Error> ended;
    for (std::size_t i = 0; i < rows_.size() && !ended; ++i) {
      std::optional<Error> bad = rows_[i].bad;
      if (!bad && !ready[i]) bad = ready[i].error();
      if (bad && !rows_[i].bad && bad->code == ErrorCode::kInput) bad->message = rows_[i].where + ": " + bad->message;
      if (!bad) {
        good.push_back(i);
        tokens_ += static_cast<std::int64_t>(ready[i]->main.ids.size());
        models.push_back(std::move(ready[i]).value());
      } else if (bad->code == ErrorCode::kInput && input_.skip_bad) {
        ++counts_.skipped;
        context_.messages.skipped(*bad);
      } else {
        ended = std::move(bad);
      }
    }
    LAYERSCOPE_ASSIGN(const std::vector<TextVectors> vectors, embedder_.vectors(models, threads));
    for (std::size_t k = 0; k < good.size(); ++k) {
      LAYERSCOPE_ASSIGN(const bool more, take_(rows_[good[k]], models[k], vectors[k]));
      ++counts_.rows;
      if (!more) return false;
    }
    if (ended) return *std::move(ended);
    rows_.clear();
    bytes_ = 0;
    return true;
  }

  [[nodiscard]] const RowCounts& counts() const { return counts_; }
  [[nodiscard]] std::int64_t tokens() const { return tokens_; }

 private:
  const Embedder& embedder_;
  const InputArguments& input_;
  Context& context_;
  const TakeTextVectors& take_;
  std::size_t threads_ = 1;
  std::vector<InputRow> rows_;
  std::size_t bytes_ = 0;
  std::int64_t tokens_ = 0;
  RowCounts counts_;
};

}  // namespace

Result<RowCounts> embed_rows(const Embedder& embedder, const InputArguments& input, Context& context,
                             const TakeVector& take, const Embedded& told) {
  const auto values = [&](const InputRow& row, const ModelRow&, const TextVectors& vectors) {
    return take(row, vectors.values);
  };
  return embed_texts(embedder, input, context, values, told);
}

Result<RowCounts> embed_texts(const Embedder& embedder, const InputArguments& input, Context& context,
                              const TakeTextVectors& take, const Embedded& told) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_input(input));
  const auto started = std::chrono::steady_clock::now();
  Rounds rounds(embedder, input, context, take);
  bool more = true;
  while (more) {
    LAYERSCOPE_ASSIGN(std::optional<InputRow> row, reader->next());
    const bool end = !row;
    if (row) rounds.add(std::move(*row));
    if (!end && !rounds.full()) continue;
    if (stop_requested()) return Error{ErrorCode::kCancelled, "stopped by a signal"};
    LAYERSCOPE_ASSIGN(const bool wanted, rounds.run());
    more = wanted && !end;
    if (!told) continue;
    JobProgress so_far{.rows = rounds.counts().rows, .skipped = rounds.counts().skipped, .tokens = rounds.tokens()};
    so_far.input_bytes = reader->bytes();
    so_far.input_total = reader->total_bytes();
    so_far.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    told(so_far);
  }
  return rounds.counts();
}

}  // namespace layerscope::cli
