#include "base/try.h"
#include "cli/commands.h"
#include "layerscope/hub.h"

namespace layerscope::cli {

Result<std::unique_ptr<Model>> open_model(const std::string& model, const Context& context, bool weights) {
  LAYERSCOPE_ASSIGN(const std::string folder, find_model_folder(model));
  return Model::open(folder, context.common.open_options(weights));
}

}  // namespace layerscope::cli
