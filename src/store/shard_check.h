// Does a shard hold what its journal line and its manifest say?
#pragma once

#include "layerscope/error.h"
#include "store/layout.h"
#include "store/run.h"

namespace layerscope {

/// Checks size, hash, header and the consistency of rows and offsets. `first_row` is the least number a row may have.
/// Errors: kDamage with what is wrong; others if the file cannot be read.
[[nodiscard]] Status check_shard(const std::string& path, const ShardSchema& schema, const ShardRecord& record,
                                 std::int64_t first_row);

}  // namespace layerscope
