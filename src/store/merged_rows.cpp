#include "store/merged_rows.h"

#include <algorithm>
#include <limits>

#include "base/try.h"

namespace layerscope {

namespace {

Result<std::shared_ptr<const RowShard>> open_shard(const std::string& path,
                                                   const std::vector<std::string>& offsets_of) {
  auto shard = std::make_shared<RowShard>();
  LAYERSCOPE_ASSIGN(shard->reader, ShardReader::open(path));
  LAYERSCOPE_ASSIGN(shard->numbers, shard->reader.read_i64("row"));
  shard->offsets.resize(offsets_of.size());
  for (std::size_t tensor = 0; tensor < offsets_of.size(); ++tensor) {
    if (shard->reader.find(offsets_of[tensor]) == nullptr) continue;
    std::vector<std::int64_t>& offsets = shard->offsets[tensor];
    LAYERSCOPE_ASSIGN(offsets, shard->reader.read_i64(offsets_of[tensor]));
    const bool good = offsets.size() == shard->numbers.size() + 1 && offsets.front() == 0 &&
                      std::is_sorted(offsets.begin(), offsets.end());
    if (good) continue;
    return Error{ErrorCode::kDamage,
                 path + ": tensor \"" + offsets_of[tensor] + "\" holds no offsets; layerscope verify tells more"};
  }
  return std::shared_ptr<const RowShard>(std::move(shard));
}

}  // namespace

/// One part on its way through its shards.
class MergedRows::Part {
 public:
  Part(const RunPart& part, const std::vector<std::string>& offsets_of) : part_(part), offsets_of_(offsets_of) {}

  /// Opens shards until there is a row; false at the end.
  Result<bool> ready() {
    while (shard_ == nullptr || at_ == static_cast<std::int64_t>(shard_->numbers.size())) {
      if (next_shard_ == part_.records.size()) return false;
      LAYERSCOPE_ASSIGN(shard_, open_shard(part_.shard_path(part_.records[next_shard_++]), offsets_of_));
      at_ = 0;
    }
    return true;
  }
  [[nodiscard]] std::int64_t row() const { return shard_->numbers[static_cast<std::size_t>(at_)]; }
  /// The rows from here that come before row `limit`.
  RowSpan take(std::int64_t limit) {
    const std::int64_t first = at_;
    do {
      ++at_;
    } while (at_ < static_cast<std::int64_t>(shard_->numbers.size()) && row() < limit);
    return {shard_, first, at_ - first};
  }

 private:
  const RunPart& part_;
  const std::vector<std::string>& offsets_of_;
  std::size_t next_shard_ = 0;
  std::shared_ptr<const RowShard> shard_;
  std::int64_t at_ = 0;
};

MergedRows::MergedRows(const RunView& run, std::vector<std::string> offsets_of) : offsets_of_(std::move(offsets_of)) {
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

Status for_each_row_span(const RunView& run, const std::vector<std::string>& offsets_of,
                         const std::function<Status(const RowSpan&)>& visit) {
  MergedRows rows(run, offsets_of);
  while (true) {
    LAYERSCOPE_ASSIGN(const std::optional<RowSpan> span, rows.next());
    if (!span) return {};
    LAYERSCOPE_TRY(visit(*span));
  }
}

}  // namespace layerscope
