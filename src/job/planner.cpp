#include "job/planner.h"

#include "base/try.h"

namespace layerscope {

PlannedRow plan_row(const TapPlan& plan, const ShardSchema& schema, std::int64_t number,
                    const std::optional<std::string>& id, const ModelRow& row, const PickTokens& picks) {
  PlannedRow planned;
  planned.number = number;
  if (id) planned.id = *id;
  std::array<std::int64_t, 2> tokens{};
  const auto take = [&](StackId stack, const Tokens& from) {
    RowTokens& into = planned.stacks[static_cast<std::size_t>(stack)];
    into.ids = from.ids;
    into.special = from.special;
    into.type_ids = from.type_ids;
    tokens[static_cast<std::size_t>(stack)] = static_cast<std::int64_t>(from.ids.size());
    if (schema.picks(stack))
      into.picks = picks ? picks(row) : plan.picks(number, static_cast<std::int64_t>(from.ids.size()));
  };
  take(schema.two_stacks ? StackId::kEncoder : schema.main, row.main);
  if (schema.two_stacks && row.decoder) take(StackId::kDecoder, *row.decoder);
  planned.elements.reserve(schema.sites.size());
  for (std::size_t index = 0; index < schema.sites.size(); ++index) {
    const StoredSite& site = schema.sites[index];
    if (site.unit == StoredUnit::kPicks) {
      const RowTokens& of_stack = planned.stacks[static_cast<std::size_t>(token_stack(site))];
      planned.elements.push_back(static_cast<std::int64_t>(of_stack.picks.size()) * site.width);
    } else {
      planned.elements.push_back(plan.stored_elements(index, number, tokens));
    }
  }
  return planned;
}

ShardPlanner::ShardPlanner(const TapPlan& plan, const ShardSchema& schema, const RunWriter& run, RowFeed& feed,
                           Scheduler& scheduler, Options options)
    : plan_(plan), schema_(schema), run_(run), feed_(feed), scheduler_(scheduler), options_(std::move(options)) {
  if (!run.records().empty()) record_ = run.records().back();
  record_.shard = static_cast<std::int64_t>(run.records().size());
}

Result<bool> ShardPlanner::work() {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || ended_) return false;
  bool any = false;
  while (FedRow* row = feed_.front()) {
    any = true;
    planned_input_bytes_ = row->input_bytes;
    if (row->row) {
      const std::int64_t shard = record_.shard;
      LAYERSCOPE_TRY(add(*row));
      feed_.pop();
      if (record_.shard != shard) return true;
      continue;
    }
    if (!options_.skip_bad || row->row.error().code != ErrorCode::kInput) {
      input_error_ = row->row.error();
      end();
      return true;
    }
    if (options_.skipped) options_.skipped(row->row.error());
    ++open_skipped_;
    ++skipped_;
    feed_.pop();
  }
  if (feed_.finished()) {
    if (draft_ != nullptr) LAYERSCOPE_TRY(close_shard());
    end();
    return true;
  }
  return any;
}

Status ShardPlanner::add(const FedRow& row) {
  if (draft_ == nullptr) draft_ = std::make_unique<ShardDraft>(schema_, run_.folder());
  LAYERSCOPE_TRY(draft_->add(plan_row(plan_, schema_, row.number, row.id, *row.row, options_.picks)));
  record_.next_row = row.number + 1;
  record_.input_bytes = row.input_bytes;
  record_.input_prefix_xxh128 = row.prefix_hash;
  record_.skipped = open_skipped_;
  const double work = static_cast<double>(draft_->counts().all_tokens()) * static_cast<double>(options_.parameters);
  if (draft_->tensor_bytes() >= options_.shard_bytes || work >= kMaxShardWork) return close_shard();
  return {};
}

Status ShardPlanner::close_shard() {
  LAYERSCOPE_ASSIGN(ShardWriter writer, draft_->write_to(run_.temporary_path(record_.shard)));
  record_.rows = draft_->counts().rows;
  record_.tokens = draft_->counts().all_tokens();
  planned_tokens_ += record_.tokens;
  open_skipped_ -= record_.skipped;
  draft_ = nullptr;
  scheduler_.add(std::make_shared<OpenShard>(std::move(writer), record_));
  ++record_.shard;
  return {};
}

void ShardPlanner::end() {
  ended_ = true;
  scheduler_.close();
}

std::optional<Error> ShardPlanner::input_error() const {
  const std::lock_guard lock(mutex_);
  return input_error_;
}

std::int64_t ShardPlanner::trailing_skipped() const {
  const std::lock_guard lock(mutex_);
  return open_skipped_;
}

}  // namespace layerscope
