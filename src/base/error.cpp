#include "layerscope/error.h"

namespace layerscope {

const char* error_code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kRuntime: return "runtime";
    case ErrorCode::kUsage: return "usage";
    case ErrorCode::kInput: return "input";
    case ErrorCode::kModel: return "model";
    case ErrorCode::kResource: return "resource";
    case ErrorCode::kDamage: return "damage";
    case ErrorCode::kCancelled: return "cancelled";
  }
  return "runtime";
}

}  // namespace layerscope
