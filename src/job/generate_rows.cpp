#include "job/generate_rows.h"

#include <algorithm>
#include <limits>

#include "base/memory.h"
#include "base/try.h"
#include "job/estimate.h"

namespace layerscope {
namespace {

constexpr std::size_t kMostRows = 32;        // that run at once: weights are read once for all of them
constexpr std::size_t kMostWaiting = 64;     // rows read ahead
constexpr std::uint64_t kMostUntaken = 256;  // rows that are done or running while an earlier one is not done

}  // namespace

GenerateRows::GenerateRows(Generator& generator, RowReader& reader, Options options, const JobHooks& hooks)
    : generator_(generator), reader_(reader), options_(std::move(options)), hooks_(hooks) {
  const std::uint64_t free = available_memory().value_or(std::numeric_limits<std::uint64_t>::max());
  budget_ = options_.cache_bytes.value_or(free / 10 * 9);
}

Status GenerateRows::read_ahead() {
  while (!read_all_ && waiting_.size() < kMostWaiting) {
    LAYERSCOPE_ASSIGN(std::optional<InputRow> input, reader_.next());
    if (!input) {
      read_all_ = true;
      break;
    }
    if (options_.part && input->number % options_.part->second != options_.part->first) continue;
    Result<ModelRow> row =
        input->bad ? Result<ModelRow>(*input->bad) : generator_.tokenize(input->row, options_.tokenize);
    if (row) {
      Waiting waiting{
          .number = input->number, .row = std::move(row).value(), .context = {}, .written = {}, .where = {}};
      waiting.context = generator_.context(waiting.row);
      waiting.where = input->where;
      waiting.written.id = std::move(input->id);
      waiting.written.input_bytes = reader_.bytes();
      waiting.written.prefix_hash = reader_.prefix_hash();
      waiting.written.skipped = open_skipped_;
      open_skipped_ = 0;
      waiting_.push_back(std::move(waiting));
      continue;
    }
    Error bad = row.error();
    if (!input->bad) bad.message = input->where + ": " + bad.message;
    if (!options_.skip_bad || bad.code != ErrorCode::kInput) {
      input_error_ = std::move(bad);
      read_all_ = true;
      break;
    }
    if (hooks_.skipped) hooks_.skipped(bad);
    ++skipped_;
    ++open_skipped_;
  }
  return {};
}

GenerateRows::Plan GenerateRows::plan() const {
  Plan plan{.cache_token = generator_.token_bytes(false), .cache_source_token = generator_.token_bytes(true)};
  plan.whole_input = read_all_;
  for (const Waiting& row : waiting_) {
    ++plan.rows;
    plan.tokens += row.context.tokens + row.context.source_tokens;
    plan.input_bytes = row.written.input_bytes;
    const bool joins = plan.rows_at_once + 1 == plan.rows && plan.rows <= static_cast<std::int64_t>(kMostRows) &&
                       row.context.cache_bytes <= budget_ - std::min(budget_, plan.cache_bytes);
    if (!joins) continue;
    ++plan.rows_at_once;
    plan.cache_bytes += row.context.cache_bytes;
  }
  return plan;
}

std::string GenerateRows::plan_text(const Plan& plan) {
  std::string text = "cache of keys and values: " + size_text(plan.cache_token) + " a token";
  if (plan.cache_source_token > 0) text += ", " + size_text(plan.cache_source_token) + " a token of the encoder";
  return text + "; " + std::to_string(plan.rows_at_once) + (plan.rows_at_once == 1 ? " row" : " rows at once") + ": " +
         size_text(plan.cache_bytes);
}

std::vector<std::array<std::int64_t, 2>> GenerateRows::waiting_tokens() const {
  std::vector<std::array<std::int64_t, 2>> tokens;
  for (const Waiting& row : waiting_) tokens.push_back({row.context.source_tokens, row.context.tokens});
  return tokens;
}

Error GenerateRows::too_large(const Waiting& row) const {
  std::string sum =
      std::to_string(row.context.tokens) + " tokens of " + std::to_string(generator_.token_bytes(false)) + " bytes";
  if (row.context.source_tokens > 0) {
    sum += " and " + std::to_string(row.context.source_tokens) + " of the encoder of " +
           std::to_string(generator_.token_bytes(true));
  }
  return {ErrorCode::kResource, row.where + ": its cache of keys and values takes " +
                                    size_text(row.context.cache_bytes) + " (" + sum + "), there is room for " +
                                    size_text(budget_) + "; a smaller --max-new-tokens needs less"};
}

Status GenerateRows::admit() {
  while (!waiting_.empty() && generator_.rows() < kMostRows && next_tag_ - next_taken_ < kMostUntaken) {
    Waiting& row = waiting_.front();
    if (row.context.cache_bytes > budget_ - std::min(budget_, in_use_)) {
      if (generator_.rows() == 0) return too_large(row);
      break;
    }
    in_use_ += row.context.cache_bytes;
    generator_.join(next_tag_, row.number, std::move(row.row));
    running_.emplace(next_tag_++, std::move(row));
    waiting_.pop_front();
  }
  return {};
}

Status GenerateRows::run(const Take& take, const Generator::Told& told) {
  LAYERSCOPE_TRY(read_ahead());
  if (const Plan plan = this->plan(); hooks_.note && plan.rows_at_once > 0) hooks_.note(plan_text(plan));
  while (true) {
    if (hooks_.stop != nullptr && *hooks_.stop) return Error{ErrorCode::kCancelled, "stopped by a signal"};
    LAYERSCOPE_TRY(read_ahead());
    LAYERSCOPE_TRY(admit());
    if (generator_.rows() == 0) break;
    LAYERSCOPE_ASSIGN(std::vector<GeneratedRow> finished, generator_.step(told));
    for (GeneratedRow& row : finished) {
      in_use_ -= running_.at(row.tag).context.cache_bytes;
      finished_.emplace(row.tag, std::move(row));
    }
    for (auto next = finished_.find(next_taken_); next != finished_.end(); next = finished_.find(next_taken_)) {
      WrittenRow written = std::move(running_.at(next_taken_).written);
      written.made = std::move(next->second);
      finished_.erase(next);
      running_.erase(next_taken_++);
      ++rows_;
      LAYERSCOPE_ASSIGN(const bool more, take(std::move(written)));
      if (!more) return {};
    }
  }
  return input_error_ ? Status(*input_error_) : Status();
}

}  // namespace layerscope
