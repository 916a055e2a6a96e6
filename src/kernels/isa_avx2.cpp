#if defined(__x86_64__)
#define HWY_COMPILE_ONLY_STATIC
#define HWY_BASELINE_TARGETS (HWY_AVX2 | HWY_SSE4)
#define LAYERSCOPE_ISA avx2
#define LAYERSCOPE_NATIVE_BF16 0
#include "kernels/table-inl.h"
#endif
