#!/usr/bin/env bash
# Builds the Python package into .venv, in the folder that `make build` uses: tools/python.sh [test]. With `test`, what its
# tests need is installed too.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || python3 -m venv .venv
requirements=(-r python/requirements-build.txt)
[ "${1:-}" != test ] || requirements+=(-r python/requirements-test.txt)
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
pip install "${requirements[@]}"
# The compiler by the names under which CMake finds it: another name would build everything anew.
export CC=${CC:-cc} CXX=${CXX:-c++}
PATH=$PWD/.venv/bin:$PATH CMAKE_BUILD_PARALLEL_LEVEL=${JOBS:-$(nproc)} \
  pip install --no-build-isolation --no-deps --force-reinstall --config-settings build-dir=build/release .
