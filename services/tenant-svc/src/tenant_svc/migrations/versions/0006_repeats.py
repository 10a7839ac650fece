"""Answers that are kept for requests that are made again."""

from __future__ import annotations

from switchboard.migrate import repeats_sql, sql

revision = "0006"
down_revision = "0005"

# They go with their tenant, so that what erases it stays as it is.
GO_WITH_TENANT = """
ALTER TABLE tenancy.repeats ADD FOREIGN KEY (tenant_id) REFERENCES tenancy.tenants (tenant_id) ON DELETE CASCADE;
"""


def upgrade() -> None:
    sql(repeats_sql("tenancy") + GO_WITH_TENANT)
