#!/usr/bin/env bash
# Makes a Debian 12 machine able to do one thing with this repository: tools/setup.sh build|python|test|demo|lint|fuzz|bench
# Installs only what is missing, so a second call changes nothing and needs no network. Needs root or sudo when it installs.
set -euo pipefail

minimum_cargo=1.85  # the tokenizers crate asks for it; Debian's plain cargo is older

# ocl-icd-opencl-dev: libdnnl-dev's CMake configuration asks for it without depending on it.
build=(ca-certificates g++ cmake ninja-build ccache pkg-config libdnnl-dev ocl-icd-opencl-dev libhwy-dev libsimdjson-dev zlib1g-dev libcli11-dev
       libfmt-dev libxxhash-dev libflatbuffers-dev libjs-dygraphs)
python=(python3 python3-venv)
tests=(libgtest-dev libgmock-dev)
# libomp-14-dev: clang's half of the OpenMP that the build asks for.
fuzz=(clang libclang-rt-14-dev libomp-14-dev llvm-14)
# Headers for extension modules.
module=("${python[@]}" python3-dev)
case "${1:-}" in
  build) packages=("${build[@]}") ;;
  python) packages=("${build[@]}" "${module[@]}") ;;
  demo)  packages=("${build[@]}" "${python[@]}") ;;
  test)  packages=("${build[@]}" "${module[@]}" "${tests[@]}" "${fuzz[@]}" clang-format-14) ;;
  fuzz)  packages=("${build[@]}" "${fuzz[@]}") ;;
  lint)  packages=("${build[@]}" "${tests[@]}" python3 clang-format-14 clang-tidy-14 libomp-14-dev) ;;
  bench) packages=("${build[@]}" libbenchmark-dev) ;;
  format) packages=(clang-format-14) ;;
  *) echo "usage: tools/setup.sh build|python|test|demo|lint|format|fuzz|bench" >&2; exit 2 ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }

# True when the cargo that a build would find is new enough.
cargo_is_new_enough() {
  local version
  version=$(cargo --version 2>/dev/null | awk '{print $2}') || return 1
  [ -n "$version" ] && [ "$(printf '%s\n' "$minimum_cargo" "$version" | sort -V | head -n 1)" = "$minimum_cargo" ]
}

missing=()
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
  # dpkg-query fails when it has never heard of one of them; what it prints about the others is right all the same.
  known=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" 2>/dev/null || true)
  installed=" $(awk '$1 == "installed" {print $2}' <<<"$known" | tr '\n' ' ')"
  for package in "${packages[@]}"; do
    [[ $installed == *" $package "* ]] || missing+=("$package")
  done
  if [ "$1" != format ] && ! cargo_is_new_enough; then
    missing+=(rustc-web cargo-web)
  fi
else
  say "this is not a Debian system: nothing is installed. What a build needs: ${packages[*]}, cargo >= $minimum_cargo"
fi
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    say "these packages are missing, and installing them needs root or sudo: ${missing[*]}"
    exit 1
  fi
  as_root=(sudo)
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "$@"; }
# Another apt at work holds locks that apt's own time-out does not cover (the package lists), so try again a few times.
patiently() {
  local attempt log
  log=$(mktemp)
  for attempt in 1 2 3 4 5; do
    if apt "$@" >"$log" 2>&1; then rm -f "$log"; return 0; fi
    [ "$attempt" = 5 ] || { say "apt-get $1 did not succeed, trying again"; sleep $((attempt * 3)); }
  done
  cat "$log" >&2
  rm -f "$log"
  say "apt-get $1 failed; see above"
  return 1
}

say "reading the package lists"
patiently update
say "installing ${#missing[@]} packages: ${missing[*]}"
patiently install --yes --no-install-recommends "${missing[@]}"
hash -r
if [ "$1" != format ] && ! cargo_is_new_enough; then
  say "$(command -v cargo) is older than $minimum_cargo and stands before the installed one: update it, or put /usr/bin first in PATH"
  exit 1
fi
say "done"
