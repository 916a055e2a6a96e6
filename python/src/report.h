// What a command found, as Python asks for it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "job/input.h"
#include "layerscope/model.h"
#include "view/terminal.h"

namespace layerscope::python {

/// A report as the command would print it. What it was made from lives as long as it.
struct Report {
  std::string json;                                     ///< one object
  std::function<std::string(const Terminal&)> picture;  ///< for a terminal
  std::function<std::string()> page;                    ///< as --html writes it
};

/// Rows as Python names them: a file, or lines of JSON in memory.
struct RowsSource {
  std::string path;   ///< empty: `lines`
  std::string lines;  ///< one object a line, as a .jsonl has them
};

/// Rows that end with kCancelled once `stop` is true, which outlives them. Errors: as open_rows.
[[nodiscard]] Result<std::unique_ptr<RowReader>> open_rows(const RowsSource& source, const std::atomic<bool>& stop);

/// The next row that can be read, nothing at the end. Errors: those of the input, and of a bad row.
[[nodiscard]] Result<std::optional<InputRow>> next_good(RowReader& rows);

}  // namespace layerscope::python
