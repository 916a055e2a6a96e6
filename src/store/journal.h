// journal.jsonl: one line a finished shard, in order, appended and synced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "store/run.h"

namespace layerscope {

inline constexpr std::string_view kJournalName = "journal.jsonl";

/// The line of a shard, line feed included.
[[nodiscard]] std::string journal_line(const ShardRecord& record);

/// What a journal says.
struct Journal {
  std::vector<ShardRecord> records;
  std::uint64_t good_bytes = 0;  ///< end of the last whole line
  bool torn = false;             ///< something stands behind it: a line that was cut while it was written
};

/// Reads a journal. A last line without its line feed is torn; anything else that is no record, or a record out of
/// order, is kDamage naming `name` and the line.
[[nodiscard]] Result<Journal> parse_journal(std::string_view text, std::string_view name);

}  // namespace layerscope
