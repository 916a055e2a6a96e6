#include "job/scheduler.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::int64_t kTile = 16;  // products run in tiles whose tail comes in steps of this many tokens
constexpr std::size_t kWindowRows = 512;
constexpr std::int64_t kLeastBudget = 128;  // the smallest batch at the end of a job

std::int64_t round_up(std::int64_t value) { return (value + kTile - 1) / kTile * kTile; }

}  // namespace

std::vector<std::size_t> pick_rows(const std::vector<std::int64_t>& tokens, std::int64_t budget, bool longest_first) {
  if (tokens.empty()) return {};
  std::size_t first = 0;
  if (longest_first) first = static_cast<std::size_t>(std::max_element(tokens.begin(), tokens.end()) - tokens.begin());
  if (tokens[first] >= budget) return {first};

  // Sums that can be reached, each with the row that reached it first: old rows are preferred, and the walk ends as
  // soon as the budget is met exactly.
  constexpr std::size_t kUnreached = static_cast<std::size_t>(-1);
  std::vector<std::size_t> reached_by(static_cast<std::size_t>(budget) + 1, kUnreached);
  std::int64_t largest = tokens[first];
  reached_by[static_cast<std::size_t>(largest)] = first;
  for (std::size_t index = 0; index < tokens.size() && reached_by.back() == kUnreached; ++index) {
    if (index == first || tokens[index] > budget) continue;
    for (std::int64_t sum = std::min(largest, budget - tokens[index]); sum >= tokens[first]; --sum) {
      const auto next = static_cast<std::size_t>(sum + tokens[index]);
      if (reached_by[static_cast<std::size_t>(sum)] == kUnreached || reached_by[next] != kUnreached) continue;
      reached_by[next] = index;
      largest = std::max(largest, sum + tokens[index]);
    }
  }
  std::int64_t best = largest;
  for (std::int64_t sum = largest / kTile * kTile; sum >= budget - budget / 8 && best % kTile != 0; sum -= kTile) {
    if (sum >= tokens[first] && reached_by[static_cast<std::size_t>(sum)] != kUnreached) best = sum;
  }
  std::vector<std::size_t> picked;
  while (best != tokens[first] || reached_by[static_cast<std::size_t>(best)] != first) {
    const std::size_t index = reached_by[static_cast<std::size_t>(best)];
    picked.push_back(index);
    best -= tokens[index];
  }
  picked.push_back(first);
  std::sort(picked.begin(), picked.end());
  return picked;
}

Scheduler::Scheduler(const ShardSchema& schema, std::int64_t batch_tokens, int workers)
    : schema_(schema),
      batch_tokens_(round_up(std::max<std::int64_t>(batch_tokens, kTile))),
      workers_(std::max(workers, 1)) {}

void Scheduler::add(std::shared_ptr<OpenShard> shard) {
  const std::lock_guard lock(mutex_);
  waiting_tokens_ += shard->writer.counts().all_tokens();
  shards_.push_back(std::move(shard));
}

void Scheduler::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

std::int64_t Scheduler::waiting_tokens() const {
  const std::lock_guard lock(mutex_);
  return waiting_tokens_;
}

std::size_t Scheduler::open_shards() const {
  const std::lock_guard lock(mutex_);
  return shards_.size();
}

std::int64_t Scheduler::budget() const {
  if (!closed_) return batch_tokens_;
  // The last batches get smaller, so that no worker computes alone for long.
  return std::min(batch_tokens_, round_up(std::max(waiting_tokens_ / (2 * workers_), kLeastBudget)));
}

Result<std::vector<ScheduledRow>> Scheduler::take() {
  const std::lock_guard lock(mutex_);
  LAYERSCOPE_TRY(fill_window());
  std::vector<std::int64_t> tokens;
  for (const ScheduledRow& row : window_) tokens.push_back(row.all_tokens());
  std::vector<ScheduledRow> rows;
  std::size_t index = 0;
  auto next = window_.begin();
  for (const std::size_t picked : pick_rows(tokens, budget(), closed_ && all_loaded_)) {
    std::advance(next, picked - index);
    index = picked + 1;
    rows.push_back(std::move(*next));
    next = window_.erase(next);
    window_tokens_ -= rows.back().all_tokens();
    waiting_tokens_ -= rows.back().all_tokens();
  }
  return rows;
}

void Scheduler::finish(const std::vector<ScheduledRow>& rows) {
  const std::lock_guard lock(mutex_);
  for (const ScheduledRow& row : rows) ++row.shard->finished;
}

std::shared_ptr<OpenShard> Scheduler::finished_front() const {
  const std::lock_guard lock(mutex_);
  return !shards_.empty() && shards_.front()->done() ? shards_.front() : nullptr;
}

void Scheduler::pop_front() {
  const std::lock_guard lock(mutex_);
  shards_.pop_front();
}

Status Scheduler::fill_window() {
  all_loaded_ = true;
  for (const std::shared_ptr<OpenShard>& shard : shards_) {
    while (shard->loaded < shard->writer.counts().rows) {
      const std::int64_t room = 32 * batch_tokens_ - window_tokens_;
      if (window_.size() >= kWindowRows || room <= 0) {
        all_loaded_ = false;
        return {};
      }
      LAYERSCOPE_TRY(load(shard, room));
    }
  }
  return {};
}

Status Scheduler::load(const std::shared_ptr<OpenShard>& shard, std::int64_t room) {
  const ShardWriter& writer = shard->writer;
  const std::int64_t first = shard->loaded;
  std::int64_t count = std::min<std::int64_t>(kWindowRows, writer.counts().rows - first);
  const std::vector<StackId> stacks = schema_.stacks();
  std::array<std::vector<std::int64_t>, 2> offsets;
  const auto read_offsets = [&](const std::string& name, std::vector<std::int64_t>& into) {
    into.resize(static_cast<std::size_t>(count) + 1);
    return writer.read(name, first, std::span(into));
  };
  for (const StackId stack : stacks) {
    LAYERSCOPE_TRY(read_offsets(schema_.prefix(stack) + "offsets", offsets[static_cast<std::size_t>(stack)]));
  }
  const auto tokens_to = [&](std::int64_t row) {
    std::int64_t tokens = 0;
    for (const auto& of_stack : offsets)
      tokens += of_stack.empty() ? 0 : of_stack[static_cast<std::size_t>(row)] - of_stack[0];
    return tokens;
  };
  while (count > 1 && tokens_to(count) > room) count = std::max<std::int64_t>(1, count / 2);

  std::vector<ScheduledRow> rows(static_cast<std::size_t>(count));
  std::vector<std::int64_t> numbers(rows.size());
  LAYERSCOPE_TRY(writer.read("row", first, std::span(numbers)));
  for (std::size_t row = 0; row < rows.size(); ++row) {
    rows[row].shard = shard;
    rows[row].index = first + static_cast<std::int64_t>(row);
    rows[row].number = numbers[row];
  }
  for (const StackId stack : stacks) {
    const auto index = static_cast<std::size_t>(stack);
    const std::string prefix = schema_.prefix(stack);
    const std::int64_t begin = offsets[index][0];
    const auto tokens = static_cast<std::size_t>(offsets[index][rows.size()] - begin);
    std::vector<std::int32_t> ids(tokens);
    std::vector<std::uint8_t> types(writer.counts().has_types[index] ? tokens : 0);
    std::vector<std::int64_t> pick_offsets;
    LAYERSCOPE_TRY(writer.read(prefix + "input_ids", begin, std::span(ids)));
    if (!types.empty()) LAYERSCOPE_TRY(writer.read(prefix + "type_ids", begin, std::span(types)));
    if (schema_.picks(stack)) LAYERSCOPE_TRY(read_offsets(prefix + "pos_offsets", pick_offsets));
    for (std::size_t row = 0; row < rows.size(); ++row) {
      const std::int64_t from = offsets[index][row] - begin;
      const std::int64_t to = offsets[index][row + 1] - begin;
      const bool is_decoder_of_two = schema_.two_stacks && stack == StackId::kDecoder;
      Tokens& into = is_decoder_of_two ? rows[row].row.decoder.emplace() : rows[row].row.main;
      into.ids.assign(ids.begin() + from, ids.begin() + to);
      if (!types.empty()) into.type_ids.assign(types.begin() + from, types.begin() + to);
      rows[row].tokens[index] = to - from;
      rows[row].first_token[index] = offsets[index][row];
      if (pick_offsets.empty()) continue;
      rows[row].first_pick[index] = pick_offsets[row];
      rows[row].picks[index] = pick_offsets[row + 1] - pick_offsets[row];
    }
  }
  for (const StoredSite& site : schema_.sites) {
    if (site.unit != StoredUnit::kProbs) continue;
    std::vector<std::int64_t> site_offsets;
    LAYERSCOPE_TRY(read_offsets(site.name + ".offsets", site_offsets));
    for (std::size_t row = 0; row < rows.size(); ++row) rows[row].first_probability.push_back(site_offsets[row]);
  }
  shard->loaded += count;
  for (ScheduledRow& row : rows) {
    window_tokens_ += row.all_tokens();
    window_.push_back(std::move(row));
  }
  return {};
}

}  // namespace layerscope
