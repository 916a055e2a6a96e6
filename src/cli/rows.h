// Rows of a command's input, one at a time, with --on-bad done right.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "cli/commands.h"
#include "job/input.h"

namespace layerscope::cli {

/// The reader of -i FILE or of the TEXT arguments.
[[nodiscard]] Result<std::unique_ptr<RowReader>> open_input(const InputArguments& input);

/// What an input came to.
struct RowCounts {
  std::int64_t rows = 0, skipped = 0;
  bool cut = false;  ///< the handler asked for no more although there was more
  /// 3 if rows were skipped, else 0.
  [[nodiscard]] int status() const noexcept { return skipped > 0 ? 3 : 0; }
};

/// False: enough, read no further.
using RowHandler = std::function<Result<bool>(const InputRow&)>;

/// Calls the handler for every row. A handler's kInput error makes the row a bad one: under --on-bad skip it is
/// reported and left out, otherwise it ends the walk, named by file and line. Ends early when stdout is closed.
[[nodiscard]] Result<RowCounts> each_row(const InputArguments& input, Context& context, const RowHandler& handler);

}  // namespace layerscope::cli
