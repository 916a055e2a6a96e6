#!/usr/bin/env bash
# Builds the fuzz targets and runs each for SECONDS: tools/fuzz.sh SECONDS
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh fuzz fuzzers
exec bash tests/fuzz/run.sh "$1"
