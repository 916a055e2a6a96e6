#!/usr/bin/env bash
# The house style of every C and C++ file: tools/format.sh --check | --fix
# Version 14 of clang-format decides: other versions lay out some lines differently.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  --check) mode=(--dry-run --Werror) ;;
  --fix)   mode=(-i) ;;
  *) echo "usage: tools/format.sh --check|--fix" >&2; exit 2 ;;
esac
command -v clang-format-14 >/dev/null || { echo "clang-format-14 is missing: tools/setup.sh format" >&2; exit 1; }
# New files count too, ignored ones do not; a file deleted but not yet committed is not there to be read.
git ls-files --cached --others --exclude-standard -z -- '*.h' '*.c' '*.cpp' |
  while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done |
  xargs -0 -r clang-format-14 --style=file "${mode[@]}"
