// Rows from arguments, text files and JSON lines, one at a time: an input larger than memory works.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "layerscope/error.h"
#include "layerscope/model.h"

namespace layerscope {

/// One row of an input, or what is wrong with it.
struct InputRow {
  std::int64_t number = 0;        ///< line number from 0; blank and bad lines are counted
  std::optional<std::string> id;  ///< the row's "id" as a compact JSON value
  TextRow row;
  std::optional<std::string> messages;  ///< a conversation as JSON, for chat_rows()
  std::optional<Error> bad;             ///< set if the line cannot be read as a row ("FILE:LINE: ...", kInput)
  std::string where;                    ///< "FILE:LINE" with lines from 1, or "TEXT argument K"
};

/// Reads rows in order. Keeps the running hash of every byte read up to the end of the last row delivered.
class RowReader {
 public:
  virtual ~RowReader() = default;
  /// The next row; nothing at the end. An error (kRuntime) only if the input itself cannot be read.
  [[nodiscard]] virtual Result<std::optional<InputRow>> next() = 0;
  /// Bytes of the input up to the end of the last row delivered (at the end: all), and their XXH3-128.
  [[nodiscard]] virtual std::uint64_t bytes() const = 0;
  [[nodiscard]] virtual std::string prefix_hash() const = 0;
  /// Total bytes if known (a regular file or arguments), for progress and estimates.
  [[nodiscard]] virtual std::optional<std::uint64_t> total_bytes() const = 0;
  /// "txt", "jsonl" or "arguments": how the rows were read.
  [[nodiscard]] virtual std::string_view kind() const = 0;
};

/// `path` "-" is stdin. `.jsonl` is one object a line, anything else one text a line; for stdin `json_lines` decides.
/// A byte order mark at the start and a CR at the end of a line are dropped; a blank line is counted but is no row.
[[nodiscard]] Result<std::unique_ptr<RowReader>> open_rows(const std::string& path, bool json_lines);
/// Lines of JSON that are in memory, under a name for messages.
[[nodiscard]] std::unique_ptr<RowReader> rows_of_json(std::string_view lines, std::string name);
/// TEXT arguments: every one is a row, the empty one too.
[[nodiscard]] std::unique_ptr<RowReader> rows_of(std::vector<std::string> texts);

}  // namespace layerscope
