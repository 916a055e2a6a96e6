#!/usr/bin/env bash
# What reads the sources instead of running them: clang-tidy over every compiled file of ours, layers, names, format.
# tools/lint.sh [PATTERN] restricts clang-tidy to files whose path matches the regular expression.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
python3 tools/check_layers.py || failed=1
python3 tools/check_names.py || failed=1
tools/format.sh --check || failed=1
mkdir -p build
cmake --preset dev >build/lint.log 2>&1 || { cat build/lint.log >&2; exit 1; }
run-clang-tidy-14 -quiet -p build/dev -j "${JOBS:-$(nproc)}" "^$PWD/(src|tests)/.*${1:-}" || failed=1
exit "$failed"
