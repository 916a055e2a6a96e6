#include "engine/pass.h"

namespace layerscope {

Status StackPass::short_conv(const Place&, const ShortConv&) {
  return Error{ErrorCode::kRuntime, "short_conv is not there yet"};
}

}  // namespace layerscope
