#!/usr/bin/env bash
# The main job on real text: look at a model, at tokens, at states; store a corpus's states, kill the run in the middle,
# go on, verify, and read the result with another library. MODEL names the folder; make demo calls this.
set -euo pipefail
cd "$(dirname "$0")/.."
model=${MODEL:-models/all-MiniLM-L6-v2}
corpus=demo/corpus.txt
program=build/release/layerscope
run=build/demo/states
log=build/demo/log
rm -rf build/demo
mkdir -p build/demo

bold= plain= faint=
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m' faint=$'\e[2m'; fi
step() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
# Shows the command as a person would type it, then runs it.
show() { printf '%s$ %s%s\n' "$faint" "$(printf '%q ' "$@")" "$plain"; "$@"; }
layerscope() { "$program" "$@"; }
fail() { echo "demo: $1" >&2; [ ! -s "$log" ] || tail -n 5 "$log" >&2; exit 1; }

step "1. What the model is"
printf '%s$ layerscope inspect %s | head%s\n' "$faint" "$model" "$plain"
layerscope inspect "$model" >build/demo/inspect
head -n 14 build/demo/inspect
printf '%s... %d lines in all%s\n' "$faint" "$(wc -l <build/demo/inspect)" "$plain"

step "2. What it really reads"
show layerscope tokenize "$model" "I love cats" "You like dogs"

step "3. Every layer's hidden states of these two sentences"
show layerscope states "$model" "I love cats" "You like dogs"

step "4. A corpus to disk, killed in the middle and taken up again"
command=(layerscope states "$model" -i "$corpus" -o "$run" --shard-size 8MiB)
printf '%s$ %s &   # and kill -9 after the first shard%s\n' "$faint" "${command[*]}" "$plain"
"$program" "${command[@]:1}" >"$log" 2>&1 &
pid=$!
# Wait for a journalled shard, however fast or slow the machine is; a run that ends before that is looked at below.
while kill -0 "$pid" 2>/dev/null && [ ! -s "$run/journal.jsonl" ]; do sleep 0.01; done
killed=no
if kill -KILL "$pid" 2>/dev/null; then killed=yes; fi
status=0
{ wait "$pid"; } 2>/dev/null || status=$?
if [ "$killed" = yes ] && [ "$status" -eq 137 ]; then
  before=$(wc -l <"$run/journal.jsonl")
  printf 'killed with %d finished shard(s) on disk\n' "$before"
elif [ "$status" -eq 0 ]; then
  echo "the run was faster than the kill; resuming a finished run only checks it"
else
  fail "the run ended with exit status $status before it could be killed"
fi
show "${command[@]}" || fail "the killed run could not be resumed"
show layerscope verify "$run"

step "5. The same states through numpy and the plain safetensors library"
if ! .venv/bin/python -c 'import numpy, safetensors' 2>/dev/null; then
  [ -x .venv/bin/pip ] || python3 -m venv .venv
  .venv/bin/pip --disable-pip-version-check --quiet install numpy safetensors ||
    fail "numpy and safetensors could not be installed into .venv; the run itself is complete in $run"
fi
show .venv/bin/python demo/read_back.py "$run"
show layerscope states "$model" "I love cats" "You like dogs" -o build/demo/two
show .venv/bin/python demo/read_back.py build/demo/two "I love cats" "You like dogs"
printf '\nThe run stays in %s. Next: %s --help\n' "$run" "$program"
