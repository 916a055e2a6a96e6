#include <fmt/format.h>

#include "base/json.h"
#include "base/try.h"
#include "cli/commands.h"
#include "store/run.h"

namespace layerscope::cli {

Result<int> run_export(const ExportArguments& arguments, Context& context) {
  LAYERSCOPE_TRY(export_run(arguments.run, arguments.format, arguments.target, arguments.options));
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
