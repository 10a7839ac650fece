#!/bin/sh
# What the official image's entry point does with the same variables: make the cluster once, then run the server, as `postgres`
# when it was started as root.
set -eu
mkdir -p "$PGDATA"
if [ "$(id -u)" = 0 ]; then
  chown -R postgres "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --clear-groups -- "$0" "$@"
fi
getent passwd "$(id -u)" >/dev/null || echo "caller:x:$(id -u):$(id -g)::/:/bin/false" >> /etc/passwd
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$secret"
  # shellcheck disable=SC2086
  initdb -D "$PGDATA" -U postgres --pwfile="$secret" $POSTGRES_INITDB_ARGS
  rm "$secret"
fi
exec "$@"
