#include "engine/pass.h"

namespace layerscope {

Status StackPass::token_conv(const Place&, const TokenConv&) {
  return Error{ErrorCode::kRuntime, "token_conv is not there yet"};
}

}  // namespace layerscope
