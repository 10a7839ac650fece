"""Which providers failed in a turn, and who did their work instead. Turns of before had none."""

from __future__ import annotations

from switchboard.migrate import sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    sql("ALTER TABLE calls.turns ADD COLUMN faults jsonb NOT NULL DEFAULT '[]'")
