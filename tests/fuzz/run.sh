#!/usr/bin/env bash
# Fuzzes every target that was built for SECONDS each, JOBS (default: all cores) at a time, and reports executions and
# the lines reached of the parser that the target is about. Fails when a target crashes, leaks, hangs or outgrows its
# memory; the input is kept. The last line counts passed and failed targets.
# usage: tests/fuzz/run.sh SECONDS [BUILD_FOLDER]
set -euo pipefail

if [[ ! ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: $0 SECONDS [BUILD_FOLDER]" >&2
  exit 2
fi
seconds=$1
source_folder=$(cd "$(dirname "$0")/../.." && pwd)
build_folder=${2:-$source_folder/build/fuzz}
fuzz_folder=$source_folder/tests/fuzz
tool() { command -v "$1-14" || command -v "$1"; }
profdata=$(tool llvm-profdata)
cov=$(tool llvm-cov)

run_target() {
  local name=$1 program=$2 work=$build_folder/fuzz-runs/$1
  rm -rf "$work"
  mkdir -p "$work/corpus"
  cp "$fuzz_folder/seeds/$name/"* "$work/corpus/" 2>/dev/null || true
  local pattern seed
  for pattern in $(sed -n 's|^// Seeds: *||p' "$fuzz_folder/${name}_fuzz.cpp"); do
    for seed in "$source_folder"/$pattern; do cp "$seed" "$work/corpus/$(echo "${seed#"$source_folder"/}" | tr / _)"; done
  done
  local options=(-max_total_time="$seconds" -timeout=2 -rss_limit_mb=512 -max_len=4096 -print_final_stats=1
                 -artifact_prefix="$work/")
  if [[ -f $fuzz_folder/$name.dict ]]; then options+=(-dict="$fuzz_folder/$name.dict"); fi

  local status=0
  ASAN_OPTIONS=quarantine_size_mb=64:detect_leaks=1 LLVM_PROFILE_FILE=$work/coverage.profraw \
    "$program" "${options[@]}" "$work/corpus" >"$work/log" 2>&1 || status=$?
  if ((status != 0)); then
    tail -n 40 "$work/log"
    echo "fuzz $name: FAILED (status $status), input and log in $work"
    return 1
  fi
  local executions
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
  echo "fuzz $name: $executions executions, $((executions / seconds)) a second, no fault"

  local covered
  covered=$(sed -n 's|^// Covers: *||p' "$fuzz_folder/${name}_fuzz.cpp")
  if [[ -z $covered ]]; then return 0; fi
  "$profdata" merge -o "$work/coverage.profdata" "$work/coverage.profraw"
  local file
  for file in $covered; do
    "$cov" export -summary-only -instr-profile="$work/coverage.profdata" "$program" "$source_folder/$file" |
      sed -E 's/.*"totals":.*"lines":\{"count":([0-9]+),"covered":([0-9]+).*/\2 \1/' |
      awk -v file="$file" '{ printf "  %s: %d of %d lines reached (%.1f %%)\n", file, $1, $2, 100 * $1 / $2 }'
  done
}

names=()
for program in "$build_folder"/fuzzers/fuzz_*; do
  if [[ -x $program ]]; then
    name=$(basename "$program")
    names+=("${name#fuzz_}")
  fi
done
if ((${#names[@]} == 0)); then
  echo "$0: no targets in $build_folder/fuzzers" >&2
  exit 2
fi

# Each target writes its report and its status to files, so that reports of targets running side by side stay whole.
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
for name in "${names[@]}"; do
  while (($(jobs -rp | wc -l) >= ${JOBS:-$(nproc)})); do wait -n || true; done
  {
    status=0
    run_target "$name" "$build_folder/fuzzers/fuzz_$name" >"$reports/$name" 2>&1 || status=1
    echo "$status" >"$reports/$name.status"
  } &
done
wait

failed=0
for name in "${names[@]}"; do
  cat "$reports/$name"
  [[ $(cat "$reports/$name.status" 2>/dev/null) == 0 ]] || failed=$((failed + 1))
done
echo "$((${#names[@]} - failed)) passed, $failed failed"
exit $((failed > 0))
