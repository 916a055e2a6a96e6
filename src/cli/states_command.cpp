#include "base/try.h"
#include "cli/commands.h"

namespace layerscope::cli {

Result<int> run_states(const StatesArguments& arguments, Context& context) {
  LAYERSCOPE_ASSIGN(const std::unique_ptr<Model> model, open_model(arguments.model, context, true));
  LAYERSCOPE_ASSIGN(std::vector<Edit> edits, read_edits(arguments.edits, model->sites()));
  if (!arguments.output.empty()) return run_states_folder(*model, arguments, std::move(edits), context);
  LAYERSCOPE_ASSIGN(const EditPlan plan, EditPlan::compile(model->sites(), edits));
  return context.common.json ? run_states_json(*model, arguments, plan, context)
                             : run_states_picture(*model, arguments, plan, context);
}

}  // namespace layerscope::cli
