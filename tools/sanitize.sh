#!/usr/bin/env bash
# Builds and runs the unit tests under sanitizers: tools/sanitize.sh [asan|tsan...]. Any report fails the run.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- asan tsan
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
# libdnnl and its OpenMP run time are not instrumented; what they do inside is not ours to judge.
export TSAN_OPTIONS=${TSAN_OPTIONS:-ignore_noninstrumented_modules=1}
for preset in "$@"; do
  tools/build.sh "$preset"
  ctest --preset "$preset" --parallel "${JOBS:-$(nproc)}"
done
