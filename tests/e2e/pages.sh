#!/usr/bin/env bash
# The examples of the documentation: LAYERSCOPE is the program, MODEL the demo model's folder.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec python3 tests/e2e/pages.py "${1:-${LAYERSCOPE:-build/release/layerscope}}" "${MODEL:-models/all-MiniLM-L6-v2}"
