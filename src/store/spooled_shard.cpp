#include "store/spooled_shard.h"

#include <algorithm>

#include "base/try.h"

namespace layerscope {

SpooledShard::SpooledShard(const ShardSchema& schema, std::string folder, std::size_t buffer_bytes)
    : schema_(schema), folder_(std::move(folder)), buffer_bytes_(buffer_bytes) {
  for (std::size_t site = 0; site < schema.sites.size(); ++site) sites_.emplace_back(folder_, buffer_bytes_);
  counts_.elements.resize(schema.sites.size());
}

PlannedRow SpooledShard::planned(std::int64_t number, const Row& row) {
  PlannedRow planned{.number = number,
                     .id = row.id,
                     .stacks = {},
                     .elements = row.elements,
                     .prompt_tokens = row.prompt_tokens,
                     .output_ids = row.output_ids};
  for (std::size_t stack = 0; stack < row.stacks.size(); ++stack) {
    const StoredTokens& from = row.stacks[stack];
    planned.stacks[stack] = {from.ids, from.special, from.type_ids, from.picks};
  }
  return planned;
}

SpooledShard::Row& SpooledShard::row_of(std::int64_t number) {
  Row& row = rows_[number];
  row.pieces.resize(schema_.sites.size());
  row.elements.resize(schema_.sites.size());
  return row;
}

Status SpooledShard::append(std::int64_t row, std::size_t site, std::span<const std::byte> values) {
  const std::lock_guard lock(mutex_);
  Row& into = row_of(row);
  std::vector<Piece>& pieces = into.pieces[site];
  const std::uint64_t begin = sites_[site].size();
  LAYERSCOPE_TRY(sites_[site].append(values));
  if (!pieces.empty() && pieces.back().begin + pieces.back().size == begin) {
    pieces.back().size += values.size();
  } else {
    pieces.push_back({begin, values.size()});
  }
  into.elements[site] += static_cast<std::int64_t>(values.size() / dtype_size(schema_.sites[site].dtype));
  return {};
}

Status SpooledShard::finish_row(const PlannedRow& row) {
  const std::lock_guard lock(mutex_);
  Row& into = row_of(row.number);
  if (into.finished) return Error{ErrorCode::kRuntime, "row " + std::to_string(row.number) + ": was finished twice"};
  into.finished = true;
  into.id = row.id;
  for (std::size_t stack = 0; stack < into.stacks.size(); ++stack) {
    const RowTokens& from = row.stacks[stack];
    into.stacks[stack] = {{from.ids.begin(), from.ids.end()},
                          from.picks,
                          {from.special.begin(), from.special.end()},
                          {from.type_ids.begin(), from.type_ids.end()}};
  }
  into.prompt_tokens = row.prompt_tokens;
  into.output_ids.assign(row.output_ids.begin(), row.output_ids.end());
  add_row(counts_, schema_, planned(row.number, into));
  return {};
}

std::int64_t SpooledShard::finished_rows() const {
  const std::lock_guard lock(mutex_);
  return std::count_if(rows_.begin(), rows_.end(), [](const auto& row) { return row.second.finished; });
}

ShardCounts SpooledShard::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

Result<ShardWriter> SpooledShard::assemble(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  ShardDraft draft(schema_, folder_, buffer_bytes_);
  for (const auto& [number, row] : rows_) {
    if (!row.finished) continue;
    LAYERSCOPE_TRY(draft.add(planned(number, row)));
  }
  LAYERSCOPE_ASSIGN(ShardWriter writer, draft.write_to(path));
  for (std::size_t site = 0; site < schema_.sites.size(); ++site) {
    std::uint64_t at = writer.layout().position(schema_.sites[site].name);
    for (const auto& [number, row] : rows_) {
      if (!row.finished) continue;
      for (const Piece& piece : row.pieces[site]) {
        LAYERSCOPE_TRY(sites_[site].copy(piece.begin, piece.size, writer.file(), at));
        at += piece.size;
      }
    }
  }
  return writer;
}

}  // namespace layerscope
