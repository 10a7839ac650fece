#!/bin/sh
# mypy over every project, one after the other: their tests have files of the same names. All are checked, whatever fails.
set -u
cd "$(dirname "$0")/.."
failed=0
for place in conftest.py libs/common services/* dev/* tests bench; do
  [ -n "$(find "$place" -name '*.py' -print -quit 2>/dev/null)" ] || continue
  .venv/bin/mypy --no-error-summary "$place" || { echo "types: $place has errors" >&2; failed=1; }
done
exit $failed
