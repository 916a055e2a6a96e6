#!/usr/bin/env bash
# Builds the benchmarks and runs them; figures are shares of the matrix rate measured in the same run.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh bench layerscope_bench_matrix layerscope_bench_kernels layerscope_bench_states layerscope_bench_decode \
  layerscope_bench_search
bin=build/release/bench
"$bin/layerscope_bench_states" "${TOKENS:-40000}"
"$bin/layerscope_bench_kernels"
"$bin/layerscope_bench_decode"
"$bin/layerscope_bench_search"
