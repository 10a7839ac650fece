"""What every schema begins with: the outbox and the inbox."""

from __future__ import annotations

from switchboard.migrate import inbox_sql, outbox_sql, sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    sql(outbox_sql("calls") + inbox_sql("calls"))
