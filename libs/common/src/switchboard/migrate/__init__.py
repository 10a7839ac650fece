"""Schemas, roles and migrations of the whole fleet, applied by ``python -m switchboard.migrate``.

A service ships ``migrations/versions/0001_*.py`` in its package and names that package in its pyproject.toml::

    [project.entry-points."switchboard.migrations"]
    tenancy = "tenant_svc.migrations"

A version file holds hand-written SQL and nothing else::

    from switchboard.migrate import sql, tenant_table

    revision = "0001"
    down_revision = None

    def upgrade() -> None:
        sql("CREATE TABLE tenancy.locations (...);" + tenant_table("tenancy", "locations"))

Migrations go forward only. They run as the schema's owner, which can't log in; the service's role owns nothing.
"""

from switchboard.migrate.apply import MigrationError, concurrent_index, migrate, sql
from switchboard.migrate.mailboxes import inbox_sql, outbox_sql, repeats_sql, requeue_by_sending_time
from switchboard.migrate.schemas import SCHEMAS, Schema
from switchboard.migrate.statements import (
    TENANT_PREDICATE,
    definer_function,
    platform_table,
    tenant_table,
)

__all__ = [
    "SCHEMAS",
    "TENANT_PREDICATE",
    "MigrationError",
    "Schema",
    "concurrent_index",
    "definer_function",
    "inbox_sql",
    "migrate",
    "outbox_sql",
    "platform_table",
    "repeats_sql",
    "requeue_by_sending_time",
    "sql",
    "tenant_table",
]
