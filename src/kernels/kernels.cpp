#include "kernels/kernels.h"

#include <algorithm>

#include "kernels/isa.h"

namespace layerscope {
namespace {

struct Candidate {
  const char* name;
  bool runs;
  const Kernels* kernels;
};

std::vector<Candidate> candidates() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool sse4 = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
  const bool avx2 = sse4 && __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                    __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                      __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vl") != 0;
  const bool bf16 = avx512 && __builtin_cpu_supports("avx512bf16") != 0;
  return {{"avx512_bf16", bf16, &avx512_bf16_kernels()},
          {"avx512", avx512, &avx512_kernels()},
          {"avx2", avx2, &avx2_kernels()},
          {"sse4", sse4, &sse4_kernels()}};
#else
  return {{"baseline", true, &baseline_kernels()}};
#endif
}

}  // namespace

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs) names.emplace_back(candidate.name);
  }
  return names;
}

const Kernels* kernels_for(const std::string& isa) {
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs && isa == candidate.name) return candidate.kernels;
  }
  return nullptr;
}

}  // namespace layerscope
