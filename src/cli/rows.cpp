#include "cli/rows.h"

#include "base/try.h"
#include "layerscope/hub.h"

namespace layerscope::cli {

Result<std::unique_ptr<RowReader>> open_input(const InputArguments& input) {
  std::unique_ptr<RowReader> rows;
  if (input.path.empty()) {
    rows = rows_of(input.texts);
  } else {
    LAYERSCOPE_ASSIGN(rows, open_rows(input.path, input.json_lines));
  }
  if (!input.chat) return rows;
  LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(input.model));
  return chat_rows(std::move(rows), folder, *input.chat);
}

Result<RowCounts> each_row(const InputArguments& input, Context& context, const RowHandler& handler) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<RowReader> reader, open_input(input));
  RowCounts counts;
  while (!context.out.closed()) {
    LAYERSCOPE_ASSIGN(const std::optional<InputRow> row, reader->next());
    if (!row) break;
    std::optional<Error> bad = row->bad;
    if (!bad) {
      Result<bool> more = handler(*row);
      if (more && !*more) {
        counts.cut = true;
        break;
      }
      if (!more && more.error().code != ErrorCode::kInput) return std::move(more).error();
      if (!more) bad = Error{ErrorCode::kInput, row->where + ": " + more.error().message};
    }
    if (!bad) {
      ++counts.rows;
    } else if (input.skip_bad) {
      ++counts.skipped;
      context.messages.skipped(*bad);
    } else {
      return *std::move(bad);
    }
  }
  return counts;
}

}  // namespace layerscope::cli
