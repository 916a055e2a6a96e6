#include "engine/pass.h"

namespace layerscope {

Status StackPass::attend_disentangled(const Place&, const Attention&, const Disentangled&, const AttentionArguments&, std::size_t,
                                      const MutableRows&, int) {
  return Error{ErrorCode::kRuntime, "attend_disentangled is not there yet"};
}

}  // namespace layerscope
