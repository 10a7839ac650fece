#!/bin/sh
# Makes this checkout runnable: Debian packages, the Python environment in .venv, LiveKit server, models.
# Says what it installs and why. Writes to the checkout, to the cache folder and to the packages it names, nowhere else.
# With the argument `tests` also what only tests need. A second time it only compares a digest and looks for the programs.
set -eu
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/switchboard
stamp=.venv/environment.digest

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

missing="" ; reasons=""
# need PACKAGE REASON CHECK...: the package is missing when the check fails.
need() {
  package=$1 ; reason=$2 ; shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing="$missing $package"
    reasons="$reasons
  $package: $reason"
  fi
}
has_redis() { have redis-server || have redis-check-rdb; }
has_baresip() { have baresip && test -e /usr/lib/baresip/modules/aufile.so -a -e /usr/lib/baresip/modules/sndfile.so; }
has_venv() { "$python" -c 'import ensurepip, venv'; }

python=${PYTHON:-}
if [ -z "$python" ]; then
  for candidate in python3.11 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then python=$candidate; break; fi
  done
fi

install_packages() {
  need redis-tools "Redis, for LiveKit and for caches (this package brings no daemon of its own)" has_redis
  need espeak-ng "the offline voice, and the voice of the demo's caller" have espeak-ng
  need baresip-core "the SIP phone that places the demo's call" has_baresip
  need ca-certificates "checks the servers that things are downloaded from" test -e /etc/ssl/certs/ca-certificates.crt
  if [ "${1:-}" = tests ]; then
    need strace "counts nats-server's fsyncs: acknowledged means on disk (for tests only; it must be allowed to trace)" have strace
    need chromium "opens the page of a demo call in a test (for tests only)" have chromium
  fi
  if [ -z "$python" ]; then
    need python3 "everything here is Python 3.11 (another one can be named: PYTHON=/path/to/python3.11)" false
    need python3-venv "makes the environment in .venv" false
  elif ! usable_environment >/dev/null 2>&1; then
    need python3-venv "makes the environment in .venv" has_venv
  fi
  [ -n "$missing" ] || return 0
  command="apt-get install --yes --no-install-recommends$missing"
  say "system packages are missing:$reasons"
  have apt-get || fail "there is no apt-get here: install these by your own means, then run it again"
  [ "$(id -u)" = 0 ] || fail "installing them needs root: sudo $command"
  export DEBIAN_FRONTEND=noninteractive
  say "apt-get update"
  apt-get update -qq
  say "$command"
  # shellcheck disable=SC2086
  apt-get install -qq --yes --no-install-recommends $missing >/dev/null
  python=${python:-python3}
}

digest() {
  # Everything that decides what is in the environment and in the cache folder.
  cat requirements/*.txt libs/*/pyproject.toml services/*/pyproject.toml dev/*/pyproject.toml tools/*.sh | sha256sum | cut -d ' ' -f 1
}

usable_environment() {
  # In this place (scripts hold absolute paths), of the right Python, with pip.
  grep -qF "$(pwd)/.venv" .venv/bin/activate &&
    .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))'
}

make_environment() {
  export UV_CACHE_DIR="$cache/uv" UV_NO_CONFIG=1
  if ! usable_environment >/dev/null 2>&1; then
    say "making the Python environment in .venv"
    "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
      fail "$python is $("$python" --version 2>&1); the pins are for Python 3.11. Name one: PYTHON=/path/to/python3.11"
    "$python" -m venv --clear .venv
  fi
  # The installer first, by its own hashes: pip fetches nothing else.
  sed -n '/^uv==/,/[^\\]$/p' requirements/dev.txt > .venv/uv.txt
  if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d ' ' -f 2)" != "$(sed -n 's/^uv==\([^ ]*\).*/\1/p' .venv/uv.txt)" ]; then
    .venv/bin/python -m pip --quiet --disable-pip-version-check --cache-dir "$cache/pip" \
      install --require-hashes -r .venv/uv.txt
  fi
  say "installing the pinned Python packages into .venv (kept in $cache/uv for the next time)"
  sh tools/install.sh
}

install_packages "$@"
wanted=$(digest)
up_to_date() { [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && usable_environment >/dev/null 2>&1; }
if up_to_date && [ -e .venv/setup.check ] && sh .venv/setup.check; then
  exit 0
fi
mkdir -p "$cache"
# Two makes at a time: the second waits, then finds the work done.
if have flock && [ -z "${SWITCHBOARD_SETUP_LOCKED:-}" ]; then
  export SWITCHBOARD_SETUP_LOCKED=1
  exec flock "$cache/setup.lock" sh tools/setup.sh "$@"
fi
if ! up_to_date; then
  make_environment
  rm -f .venv/setup.check
  printf '%s\n' "$wanted" > "$stamp"
fi
# LiveKit server and the models; it leaves .venv/setup.check, which says whether they are still there.
.venv/bin/python -m fleet.setup
say "done"
