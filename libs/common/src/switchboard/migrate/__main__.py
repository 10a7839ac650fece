"""``python -m switchboard.migrate``: roles, schemas, migrations. Exits 0, 1 (failed) or 78 (settings)."""

from __future__ import annotations

import sys

from switchboard.migrate.apply import MigrationError, run
from switchboard.migrate.settings import MigrateSettings
from switchboard.settings import load_or_exit


def main() -> int:
    settings = load_or_exit(MigrateSettings)
    try:
        done = run(settings.migrate)
    except MigrationError as error:
        sys.stderr.write(f"migration failed: {error}\n")
        return 1
    for schema, (before, after) in done.items():
        state = "is at" if before == after else f"went from {before or 'nothing'} to"
        sys.stdout.write(f"{schema} {state} {after or 'nothing'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
