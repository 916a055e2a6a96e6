#include "store/merged_rows.h"

#include <algorithm>
#include <limits>

#include "base/try.h"

namespace layerscope {

/// One part on its way through its shards.
class MergedRows::Part {
 public:
  Part(const RunPart& part, const std::string& offsets_of) : part_(part), offsets_of_(offsets_of) {}

  /// Opens shards until there is a row; false at the end.
  Result<bool> ready() {
    while (at_ == static_cast<std::int64_t>(rows_.size())) {
      if (next_shard_ == part_.records.size()) return false;
      LAYERSCOPE_ASSIGN(shard_, ShardReader::open(part_.shard_path(part_.records[next_shard_++])));
      LAYERSCOPE_ASSIGN(rows_, shard_.read_i64("row"));
      offsets_.clear();
      at_ = 0;
      if (offsets_of_.empty() || shard_.find(offsets_of_) == nullptr) continue;
      LAYERSCOPE_ASSIGN(offsets_, shard_.read_i64(offsets_of_));
      LAYERSCOPE_TRY(check_offsets());
    }
    return true;
  }
  [[nodiscard]] std::int64_t row() const { return rows_[static_cast<std::size_t>(at_)]; }
  /// The rows from here that come before row `limit`.
  RowSpan take(std::int64_t limit) {
    const std::int64_t first = at_;
    do {
      ++at_;
    } while (at_ < static_cast<std::int64_t>(rows_.size()) && row() < limit);
    return {shard_, rows_, first, at_ - first, offsets_};
  }

 private:
  Status check_offsets() const {
    bool good = offsets_.size() == rows_.size() + 1 && offsets_.front() == 0;
    for (std::size_t row = 0; good && row < rows_.size(); ++row) good = offsets_[row] <= offsets_[row + 1];
    if (good) return {};
    return Error{ErrorCode::kDamage, shard_.file().path() + ": tensor \"" + offsets_of_ +
                                         "\" holds no offsets; layerscope verify tells more"};
  }

  const RunPart& part_;
  const std::string& offsets_of_;
  std::size_t next_shard_ = 0;
  ShardReader shard_;
  std::vector<std::int64_t> rows_, offsets_;
  std::int64_t at_ = 0;
};

MergedRows::MergedRows(const RunView& run, std::string offsets_of) : offsets_of_(std::move(offsets_of)) {
  for (const RunPart& part : run.parts) parts_.emplace_back(part, offsets_of_);
}

MergedRows::~MergedRows() = default;

Result<std::optional<RowSpan>> MergedRows::next() {
  Part* first = nullptr;
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
  for (Part& part : parts_) {
    LAYERSCOPE_ASSIGN(const bool ready, part.ready());
    if (!ready) continue;
    if (first == nullptr || part.row() < first->row()) {
      if (first != nullptr) limit = std::min(limit, first->row());
      first = &part;
    } else {
      limit = std::min(limit, part.row());
    }
  }
  if (first == nullptr) return std::optional<RowSpan>();
  return std::optional<RowSpan>(first->take(limit));
}

Status for_each_row_span(const RunView& run, const std::string& offsets_of,
                         const std::function<Status(const RowSpan&)>& visit) {
  MergedRows rows(run, offsets_of);
  while (true) {
    LAYERSCOPE_ASSIGN(const std::optional<RowSpan> span, rows.next());
    if (!span) return {};
    LAYERSCOPE_TRY(visit(*span));
  }
}

}  // namespace layerscope
