#if !defined(__x86_64__)
#define HWY_COMPILE_ONLY_STATIC
#define LAYERSCOPE_ISA baseline
#define LAYERSCOPE_NATIVE_BF16 0
#include "kernels/table-inl.h"
#endif
