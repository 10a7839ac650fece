"""SQL of the watch: how often a room was offered again."""

from __future__ import annotations

from datetime import datetime, timedelta

from switchboard.db import Connection

COUNT_DISPATCHES = "SELECT count(*), max(at) AS latest FROM calls.dispatches WHERE room_sid = $1"
INSERT_DISPATCH = """INSERT INTO calls.dispatches (room_sid, attempt, at) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING true"""
PRUNE_DISPATCHES = "DELETE FROM calls.dispatches WHERE at < $1"


async def attempts(conn: Connection, room_sid: str) -> tuple[int, datetime | None]:
    """How often all replicas together offered the room again, and when last."""
    row = await conn.fetchrow(COUNT_DISPATCHES, room_sid)
    assert row is not None
    return row["count"], row["latest"]


async def claim_attempt(conn: Connection, room_sid: str, attempt: int, at: datetime) -> bool:
    """Whether this attempt is ours to make."""
    return bool(await conn.fetchval(INSERT_DISPATCH, room_sid, attempt, at))


async def prune(conn: Connection, now: datetime, keep: timedelta) -> None:
    await conn.execute(PRUNE_DISPATCHES, now - keep)
