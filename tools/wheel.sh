#!/usr/bin/env bash
# A wheel that other machines can install, in build/wheels: the libraries that the module needs beyond those of every Linux go
# into it. It is for the Python of .venv; one for 3.12 serves all later ones.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/python.sh
export PATH=$PWD/.venv/bin:$PATH CC=${CC:-cc} CXX=${CXX:-c++}
pip() { python -m pip --disable-pip-version-check --quiet "$@"; }
pip install -r python/requirements-wheel.txt
rm -rf build/wheel
pip wheel --no-build-isolation --no-deps --config-settings build-dir=build/release -w build/wheel .
auditwheel repair --only-plat -w build/wheels build/wheel/layerscope-*.whl
