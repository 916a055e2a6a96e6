#!/usr/bin/env bash
# The whole test suite. Its last line is "N passed, N failed", summed over every piece; it fails if anything failed.
#
# A piece is any command. If the last line of what it prints is "N passed, N failed" (", N skipped" may follow), those are
# its counts; otherwise it counts as one check, judged by its exit status (77 = skipped).
set -uo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
fuzz_seconds=${FUZZ_SECONDS:-30}
reports=build/release/reports
passed=0
failed=0
skipped=0
failures=()

# piece NAME COMMAND...: runs it, shows its output if it fails (all of it with VERBOSE=1), and adds its counts.
piece() {
  local name=$1 log status counts start=$SECONDS
  shift
  log=$reports/$(tr -c 'A-Za-z0-9\n' '-' <<<"$name").log
  if [ "${VERBOSE:-}" ]; then "$@" 2>&1 | tee "$log"; status=${PIPESTATUS[0]}; else "$@" >"$log" 2>&1; status=$?; fi
  counts=$(tail -n 1 "$log" | grep -oE '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
  local p=0 f=0 s=0
  if [ -n "$counts" ]; then
    read -r p f s < <(tr -c '0-9\n' ' ' <<<"$counts")
    s=${s:-0}
    [ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  else
    case $status in 0) p=1 ;; 77) s=1 ;; *) f=1 ;; esac
  fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  if [ "$f" -gt 0 ]; then
    failures+=("$name")
    [ "${VERBOSE:-}" ] || cat "$log"
    printf 'FAILED   %s (%d passed, %d failed, exit status %d, %d s)\n' "$name" "$p" "$f" "$status" $((SECONDS - start))
  elif [ "$p" -eq 0 ]; then
    printf 'skipped  %s: %s\n' "$name" "$(tail -n 1 "$log")"
  else
    printf 'passed   %s (%d, %d s)\n' "$name" "$p" $((SECONDS - start))
  fi
}

unit_tests() {
  rm -rf "$reports/cases"
  mkdir -p "$reports/cases"
  GTEST_OUTPUT="xml:$PWD/$reports/cases/" ctest --preset test --parallel "$jobs" --no-tests=error \
    --output-junit "$PWD/$reports/ctest.xml"
  python3 tools/count_tests.py "$reports/ctest.xml" "$reports/cases"
}

python_tests() {
  .venv/bin/python -m pytest -q --junitxml="$reports/python.xml"
  python3 tools/count_tests.py --cases "$reports/python.xml"
}

mkdir -p "$reports"
piece 'build' tools/build.sh test
piece 'demo model' tools/demo_model.sh "${MODEL:-models/all-MiniLM-L6-v2}"
if [ -x build/release/layerscope ]; then
  piece 'unit tests' unit_tests
fi
piece 'format' tools/format.sh --check
piece 'layers: the check itself' python3 tools/check_layers.py --self-test
piece 'layers' python3 tools/check_layers.py
piece 'names: the check itself' python3 tools/check_names.py --self-test
piece 'names' python3 tools/check_names.py
piece 'probing data: the check itself' python3 tools/check_probing.py --self-test
piece 'probing data' python3 tools/check_probing.py
if [ -x build/release/layerscope ]; then
  export LAYERSCOPE=$PWD/build/release/layerscope MODEL=${MODEL:-models/all-MiniLM-L6-v2}
  for script in tests/e2e/*.sh; do
    [ -f "$script" ] && piece "e2e ${script##*/}" bash "$script"
  done
fi
piece 'Python package' tools/python.sh test
if [ -x build/release/layerscope ] && [ -x .venv/bin/python ]; then
  piece 'Python tests' python_tests
fi
piece "fuzz, $fuzz_seconds s a target" tools/fuzz.sh "$fuzz_seconds"

[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
if [ "$skipped" -gt 0 ]; then
  printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
else
  printf '%d passed, %d failed\n' "$passed" "$failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
