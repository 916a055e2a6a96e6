#include "job/row_feed.h"

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kChunkRows = 64;
constexpr std::size_t kChunkBytes = std::size_t{128} << 10;
constexpr std::size_t kWaitingRows = 2048;
constexpr std::uint64_t kWaitingTokens = std::uint64_t{1} << 18;

std::size_t held_bytes(const TextRow& row) {
  return (row.text ? row.text->size() : 0) + (row.pair ? row.pair->size() : 0) + (row.target ? row.target->size() : 0) +
         (row.ids ? row.ids->size() : 0) + (row.decoder_ids ? row.decoder_ids->size() : 0);
}

std::uint64_t tokens_of(const FedRow& row) {
  if (!row.row) return 0;
  return row.row->main.ids.size() + (row.row->decoder ? row.row->decoder->ids.size() : 0);
}

}  // namespace

Result<bool> RowFeed::read(Chunk& chunk) {
  std::size_t bytes = 0;
  while (chunk.rows.size() < kChunkRows && bytes < kChunkBytes) {
    LAYERSCOPE_ASSIGN(std::optional<InputRow> row, reader_.next());
    if (!row) return false;
    if (options_.part && row->number % options_.part->second != options_.part->first) continue;
    bytes += held_bytes(row->row);
    chunk.rows.push_back(std::move(*row));
    chunk.prefixes.emplace_back(reader_.bytes(), reader_.prefix_hash());
  }
  return true;
}

Result<bool> RowFeed::work() {
  Chunk chunk;
  std::uint64_t number = 0;
  {
    const std::lock_guard reading(reading_);
    {
      const std::lock_guard waiting(waiting_);
      const std::size_t waiting_rows = rows_.size() + (early_.size() + in_work_) * kChunkRows;
      if (read_all_ || waiting_rows >= kWaitingRows || held_ids_ >= kWaitingTokens) return false;
      ++in_work_;
    }
    number = next_chunk_++;
    auto more = read(chunk);
    const std::lock_guard waiting(waiting_);
    if (!more || !*more) read_all_ = true;
    if (!more) {
      --in_work_;
      return std::move(more).error();
    }
  }
  std::vector<FedRow> rows;
  rows.reserve(chunk.rows.size());
  for (std::size_t index = 0; index < chunk.rows.size(); ++index) {
    InputRow& input = chunk.rows[index];
    auto& [bytes, hash] = chunk.prefixes[index];
    Result<ModelRow> row = input.bad ? Result<ModelRow>(*input.bad) : model_.tokenize(input.row, options_.tokenize);
    if (!row && !input.bad) row = Error{row.error().code, input.where + ": " + row.error().message};
    rows.push_back({input.number, std::move(input.id), std::move(row), bytes, std::move(hash)});
    input.row = {};
  }
  put(number, std::move(rows));
  return true;
}

void RowFeed::put(std::uint64_t number, std::vector<FedRow> rows) {
  const std::lock_guard waiting(waiting_);
  --in_work_;
  for (const FedRow& row : rows) held_ids_ += tokens_of(row);
  early_.emplace(number, std::move(rows));
  for (auto next = early_.find(next_put_); next != early_.end(); next = early_.find(++next_put_)) {
    for (FedRow& row : next->second) rows_.push_back(std::move(row));
    early_.erase(next);
  }
}

FedRow* RowFeed::front() {
  const std::lock_guard waiting(waiting_);
  return rows_.empty() ? nullptr : &rows_.front();
}

void RowFeed::pop() {
  const std::lock_guard waiting(waiting_);
  held_ids_ -= tokens_of(rows_.front());
  rows_.pop_front();
}

bool RowFeed::finished() {
  const std::lock_guard waiting(waiting_);
  return read_all_ && in_work_ == 0 && early_.empty() && rows_.empty();
}

bool RowFeed::at_end() {
  const std::lock_guard waiting(waiting_);
  return read_all_ && in_work_ == 0;
}

RowFeed::Preview RowFeed::preview() {
  const std::lock_guard waiting(waiting_);
  Preview preview;
  preview.whole_input = read_all_;
  for (const FedRow& row : rows_) preview.rows.push_back(&row);
  if (!rows_.empty()) preview.input_bytes = rows_.back().input_bytes;
  return preview;
}

}  // namespace layerscope
