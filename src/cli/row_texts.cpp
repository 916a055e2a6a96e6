#include "cli/row_texts.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/try.h"
#include "job/input.h"

namespace layerscope::cli {

Result<std::map<std::int64_t, std::string>> texts_of_rows(const std::string& path, std::vector<std::int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> rows, open_rows(path, false));
  std::map<std::int64_t, std::string> texts;
  for (auto wanted = numbers.begin(); wanted != numbers.end();) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, rows->next());
    if (!row || row->number > *wanted || (row->number == *wanted && row->bad)) {
      return Error{ErrorCode::kRuntime,
                   fmt::format("{}: has no row {} (is it the input that the vectors were made from?)", path, *wanted)};
    }
    if (row->number < *wanted) continue;
    if (row->row.text) texts[*wanted] = *row->row.text + (row->row.pair ? " | " + *row->row.pair : "");
    ++wanted;
  }
  return texts;
}

}  // namespace layerscope::cli
