#include "job/value_sink.h"

#include <cstring>

#include "base/try.h"

namespace layerscope {
namespace {

constexpr std::size_t kSmall = std::size_t{16} << 10;
constexpr std::size_t kBuffer = std::size_t{64} << 10;

}  // namespace

ValueSink::ValueSink(const TapPlan& plan, const ShardSchema& schema, const std::vector<ScheduledRow>& rows)
    : plan_(plan), schema_(schema), rows_(rows) {
  std::size_t probabilities = 0;
  for (const StoredSite& site : schema.sites) {
    probability_index_.push_back(probabilities);
    probabilities += site.unit == StoredUnit::kProbs ? 1 : 0;
  }
  for (const ScheduledRow& row : rows) {
    for (std::size_t site = 0; site < schema.sites.size(); ++site) expected_ += place(site, row).elements;
  }
}

ValueSink::Place ValueSink::place(std::size_t site, const ScheduledRow& row) const {
  const StoredSite& stored = schema_.sites[site];
  const auto stack = static_cast<std::size_t>(token_stack(stored));
  const std::int64_t elements = plan_.stored_elements(site, row.number, row.tokens);
  switch (stored.unit) {
    case StoredUnit::kTokens: return {row.first_token[stack] * stored.width, elements};
    case StoredUnit::kPooled: return {row.index * stored.width, elements};
    case StoredUnit::kPicks: return {row.first_pick[stack] * stored.width, row.picks[stack] * stored.width};
    case StoredUnit::kProbs: return {row.first_probability[probability_index_[site]], elements};
  }
  return {};
}

Status ValueSink::accept(const StateFrame& frame) {
  const auto site = static_cast<std::size_t>(frame.site);
  const ScheduledRow& row = rows_[frame.tag];
  const Place whole = place(site, row);
  const std::int64_t first = frame.first_row * frame.rows.width;
  const std::int64_t elements = frame.rows.rows * frame.rows.width;
  if (frame.rows.dtype != schema_.sites[site].dtype || first + elements > whole.elements || elements > expected_) {
    return Error{ErrorCode::kRuntime, "row " + std::to_string(row.number) + ": site " + schema_.sites[site].name +
                                          " delivered other values than planned (" + std::to_string(first + elements) +
                                          " of " + std::to_string(whole.elements) + " elements)"};
  }
  expected_ -= elements;
  const std::size_t element = dtype_size(frame.rows.dtype);
  const std::size_t width = static_cast<std::size_t>(frame.rows.width) * element;
  if (frame.rows.stride == frame.rows.width || frame.rows.rows <= 1) {
    return write(row, site, whole.first + first, {frame.rows.data, width * static_cast<std::size_t>(frame.rows.rows)});
  }
  packed_.resize(width * static_cast<std::size_t>(frame.rows.rows));
  for (std::int64_t line = 0; line < frame.rows.rows; ++line) {
    std::memcpy(packed_.data() + static_cast<std::size_t>(line) * width,
                frame.rows.data + static_cast<std::size_t>(line * frame.rows.stride) * element, width);
  }
  return write(row, site, whole.first + first, packed_);
}

Status ValueSink::write(const ScheduledRow& row, std::size_t site, std::int64_t first,
                        std::span<const std::byte> values) {
  bytes_ += values.size();
  const auto elements = static_cast<std::int64_t>(values.size() / dtype_size(schema_.sites[site].dtype));
  const bool follows = buffer_shard_ == row.shard.get() && buffer_site_ == site && buffer_end_ == first;
  if (!follows || buffer_.size() + values.size() > kBuffer) {
    LAYERSCOPE_TRY(flush());
    if (values.size() > kSmall) return row.shard->writer.write_values(site, first, values);
    buffer_shard_ = row.shard.get();
    buffer_site_ = site;
    buffer_first_ = first;
  }
  buffer_.insert(buffer_.end(), values.begin(), values.end());
  buffer_end_ = first + elements;
  return {};
}

Status ValueSink::flush() {
  if (buffer_shard_ == nullptr) return {};
  LAYERSCOPE_TRY(buffer_shard_->writer.write_values(buffer_site_, buffer_first_, buffer_));
  buffer_.clear();
  buffer_shard_ = nullptr;
  return {};
}

Status ValueSink::finish() {
  LAYERSCOPE_TRY(flush());
  if (expected_ == 0) return {};
  return Error{ErrorCode::kRuntime, "row " + std::to_string(rows_.front().number) + ": " + std::to_string(expected_) +
                                        " planned values of its batch were not delivered"};
}

}  // namespace layerscope
