"""What a broker lost is sent again by when it was sent: a row that had waited would not have been found."""

from __future__ import annotations

from switchboard.migrate import requeue_by_sending_time, sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    sql(requeue_by_sending_time("tenancy"))
