#!/bin/sh
# What the official image's entry point does with the same variables: make the cluster once, then run as `postgres`.
set -eu
mkdir -p "$PGDATA"
chown -R postgres "$PGDATA"
chmod 700 "$PGDATA"
as_postgres() { setpriv --reuid postgres --regid postgres --clear-groups -- "$@"; }
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  secret=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$secret"
  chown postgres "$secret"
  # shellcheck disable=SC2086
  as_postgres initdb -D "$PGDATA" -U postgres --pwfile="$secret" $POSTGRES_INITDB_ARGS
  rm "$secret"
fi
exec setpriv --reuid postgres --regid postgres --clear-groups -- "$@"
