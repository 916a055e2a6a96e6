#include "engine/pass.h"

namespace layerscope {

Status StackPass::project_latent(const Place&, const Attention&, const MutableRows&, const MutableRows&,
                                 const MutableRows&) {
  return Error{ErrorCode::kRuntime, "project_latent is not there yet"};
}

}  // namespace layerscope
