// The tables of all instruction sets of this build; each is defined by one isa_*.cpp.
#pragma once

#include "kernels/kernels.h"

namespace layerscope {

#if defined(__x86_64__)
[[nodiscard]] const Kernels& avx512_bf16_kernels();
[[nodiscard]] const Kernels& avx512_kernels();
[[nodiscard]] const Kernels& avx2_kernels();
[[nodiscard]] const Kernels& sse4_kernels();
#else
[[nodiscard]] const Kernels& baseline_kernels();
#endif

}  // namespace layerscope
