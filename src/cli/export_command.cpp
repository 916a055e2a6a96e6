#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "job/row_texts.h"
#include "store/run.h"
#include "store/run_reader.h"

namespace layerscope::cli {

Result<int> run_export(const ExportArguments& arguments, Context& context) {
  ExportOptions options = arguments.options;
  std::optional<TextReader> texts;
  if (!arguments.texts.empty()) {
    LAYERSCOPE_ASSIGN(const RunView run, open_run(arguments.run, options.allow_incomplete));
    LAYERSCOPE_TRY(check_texts(arguments.texts, run.parts.front().manifest, arguments.run));
    LAYERSCOPE_ASSIGN(texts, TextReader::open(arguments.texts));
    options.text_of = [&](std::int64_t row) { return texts->next(row); };
  }
  LAYERSCOPE_TRY(export_run(arguments.run, arguments.format, arguments.target, options));
  if (context.common.json) {
    std::string out = "{\"run\":";
    append_json_string(out, arguments.run);
    out += ",\"output\":";
    append_json_string(out, arguments.target);
    context.out.write(out + "}\n");
  } else {
    context.messages.note(fmt::format("{}: written from {}", arguments.target, arguments.run));
  }
  return 0;
}

}  // namespace layerscope::cli
