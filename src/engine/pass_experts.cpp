#include "engine/pass.h"

namespace layerscope {

Status StackPass::experts(const Place&, const Experts&) {
  return Error{ErrorCode::kRuntime, "experts is not there yet"};
}

}  // namespace layerscope
