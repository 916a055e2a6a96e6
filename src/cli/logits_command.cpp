#include "base/try.h"
#include "cli/commands.h"
#include "cli/label_rows.h"

namespace layerscope::cli {

Result<int> run_logits(const LogitsArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments.model, context, true));
  if (model->info().labels) {
    if (!arguments.output.empty())
      return Error{ErrorCode::kUsage, arguments.model + ": scores of labels are printed (--json), not stored with -o"};
    return run_labels(*model, arguments.input, context);
  }
  if (!arguments.output.empty()) return run_logits_folder(*model, arguments, context);
  return context.common.json ? run_logits_json(*model, arguments, context)
                             : run_logits_picture(*model, arguments, context);
}

}  // namespace layerscope::cli
