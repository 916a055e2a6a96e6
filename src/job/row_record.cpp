#include "job/row_record.h"

#include <algorithm>

#include "base/try.h"
#include "tap/reducer.h"

namespace layerscope {

RowRecord::Row& RowRecord::row_of(std::uint64_t tag) {
  const std::lock_guard lock(mutex_);
  std::unique_ptr<Row>& row = rows_[tag];
  if (!row) row = std::make_unique<Row>(folder_);
  return *row;
}

void RowRecord::restart(std::uint64_t tag) {
  const std::lock_guard lock(mutex_);
  rows_.erase(tag);
}

Status RowRecord::observe(std::uint64_t tag, const Frame& frame) {
  Row& row = row_of(tag);
  row.pieces.push_back({.site = frame.observed,
                        .head = frame.head,
                        .first = frame.first,
                        .rows = frame.rows.rows,
                        .width = frame.rows.width,
                        .begin = row.values.size()});
  for (std::int64_t i = 0; i < frame.rows.rows; ++i) {
    const std::span<const float> values(frame.rows.row<float>(i), static_cast<std::size_t>(frame.rows.width));
    LAYERSCOPE_TRY(row.values.append(std::as_bytes(values)));
  }
  return {};
}

Status RowRecord::replay(std::uint64_t tag, std::int64_t number, const std::array<std::int64_t, 2>& tokens,
                         Sink& sink) {
  Row& row = row_of(tag);
  Batch batch{.rows = {number}, .tags = {0}};
  for (std::size_t stack = 0; stack < 2; ++stack) batch.inputs[stack].offsets = {0, tokens[stack]};
  Reducer reducer(batch, plan_, sink);
  std::stable_sort(row.pieces.begin(), row.pieces.end(), [](const Piece& a, const Piece& b) {
    return a.site != b.site ? a.site < b.site : a.head != b.head ? a.head < b.head : a.first < b.first;
  });
  std::vector<float> values, shown;
  for (const Piece& piece : row.pieces) {
    const Site& site = plan_.observed()[static_cast<std::size_t>(piece.site)];
    values.resize(static_cast<std::size_t>(piece.rows * piece.width));
    LAYERSCOPE_TRY(row.values.read(piece.begin, std::as_writable_bytes(std::span(values))));
    std::int64_t width = piece.width;
    if (site.kind == SiteKind::kProbs) {
      // A token saw the keys that there were; of those that came later it sees nothing.
      width = tokens[site.cross ? 0 : static_cast<std::size_t>(site.stack)];
      shown.assign(static_cast<std::size_t>(piece.rows * width), 0);
      for (std::int64_t i = 0; i < piece.rows; ++i)
        std::copy_n(values.begin() + i * piece.width, piece.width, shown.begin() + i * width);
      values.swap(shown);
    }
    LAYERSCOPE_TRY(reducer.observe({.observed = piece.site,
                                    .first = piece.first,
                                    .rows = {.dtype = DType::kF32,
                                             .data = reinterpret_cast<const std::byte*>(values.data()),
                                             .rows = piece.rows,
                                             .width = width,
                                             .stride = width},
                                    .sequence = 0,
                                    .head = piece.head}));
  }
  restart(tag);
  return {};
}

}  // namespace layerscope
