#if defined(__x86_64__)
#define HWY_COMPILE_ONLY_STATIC
#define HWY_BASELINE_TARGETS (HWY_SSE4)
#define LAYERSCOPE_ISA sse4
#define LAYERSCOPE_NATIVE_BF16 0
#include "kernels/table-inl.h"
#endif
