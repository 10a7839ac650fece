#!/bin/sh
# Builds the images of the integration suite's servers without a registry: switchboard-test/{postgres,nats,redis,livekit}.
#   BASE=debian:bookworm-slim sh dev/containers/build.sh   on a base image that the engine has or can pull
#   sh dev/containers/build.sh                             on one made here by debootstrap (as root), from this machine's Debian mirror
# The engine is the one that DOCKER_HOST names. Run `make test-setup` before: the programs come from there.
set -eu
cd "$(dirname "$0")/../.."
fail() { printf 'containers: %s\n' "$*" >&2; exit 1; }
command -v docker >/dev/null 2>&1 || fail "there is no docker command (Debian package docker.io)"
docker version >/dev/null 2>&1 || fail "no engine answers; name it in DOCKER_HOST"
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT

if [ -z "${BASE:-}" ]; then
  BASE=switchboard-test/base
  if ! docker image inspect "$BASE" >/dev/null 2>&1; then
    command -v debootstrap >/dev/null 2>&1 || fail "debootstrap is missing (Debian package debootstrap), or name an image: BASE="
    [ "$(id -u)" = 0 ] || fail "debootstrap needs root, or name an image: BASE="
    printf 'containers: making %s\n' "$BASE"
    # The mirror that apt uses here.
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Codename: bookworm' | head -n 1)
    debootstrap --variant=minbase bookworm "$context/root" "$mirror" >"$context/log" 2>&1 || fail "$(tail -n 5 "$context/log")"
    rm -rf "$context"/root/var/cache/apt/archives/*.deb
    tar -C "$context/root" -c . | docker import - "$BASE" >/dev/null
    rm -rf "$context/root"
  fi
fi

.venv/bin/python -m fleet.containers context "$context"
cp dev/containers/Dockerfile dev/containers/postgres-entrypoint.sh "$context"
chmod 755 "$context/postgres-entrypoint.sh"
for image in nats redis livekit postgres; do
  printf 'containers: building switchboard-test/%s on %s\n' "$image" "$BASE"
  # The classic builder is in every engine.
  DOCKER_BUILDKIT=0 docker build --quiet --network host --build-arg "BASE=$BASE" --target "$image" \
    --tag "switchboard-test/$image" "$context" >/dev/null 2>"$context/log" || fail "$(tail -n 5 "$context/log")"
done
