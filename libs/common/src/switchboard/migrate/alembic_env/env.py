"""What alembic runs for each schema; the connection and the schema come from switchboard.migrate.apply."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="alembic_version",
    version_table_schema=context.config.attributes["schema"],
    transactional_ddl=True,
    # Each version is committed by itself: one that fails leaves those before it, and locks last no longer than a version.
    transaction_per_migration=True,
)

with context.begin_transaction():
    context.run_migrations()
