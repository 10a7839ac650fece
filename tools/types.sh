#!/bin/sh
# mypy, strict. Tests are checked a folder at a time: two services may both have a tests/integration/conftest.py, and mypy
# knows modules by name. The cache is shared, so what was checked is not checked again.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/mypy libs/common/src services/*/src dev/*/src
for folder in tests libs/common/tests services/*/tests dev/*/tests; do
  if find "$folder" -name '*.py' | grep -q .; then .venv/bin/mypy "$folder"; fi
done
