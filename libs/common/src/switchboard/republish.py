"""Refill a broker that lost what it had acknowledged: ``python -m switchboard.republish --since 2026-03-02T09:00:00Z``.

Runs with the settings of one service that has a database (``SWITCHBOARD_DATABASE__DSN``), once for each of them. Rows of its
outbox that were sent at or after that time are queued again; the service's own relay sends them, in their order and under
their old ids. Returns when the outbox is empty.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import urlsplit

from switchboard.clock import SystemClock
from switchboard.db import Database
from switchboard.errors import InvalidInput, SwitchboardError, Unavailable
from switchboard.migrate.schemas import SCHEMAS
from switchboard.outbox import backlog, requeue
from switchboard.settings import DatabaseSettings, EnvironmentSettings, load_or_exit

LOOK_EVERY_SECONDS = 0.2


class Settings(EnvironmentSettings):
    database: DatabaseSettings


def moment(text: str) -> datetime:
    """An ISO 8601 time with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-03-02T09:00:00Z") from None
    if found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone; end it with Z or an offset")
    return found.astimezone(UTC)


def schema_of(dsn: str) -> str:
    """The schema of the service that logs in by ``dsn``."""
    role = urlsplit(dsn).username
    for schema in SCHEMAS:
        if schema.service == role:
            return schema.name
    wanted = ", ".join(schema.service for schema in SCHEMAS)
    raise InvalidInput(f"SWITCHBOARD_DATABASE__DSN must log in as a service with an outbox: {wanted}")


async def republish(settings: DatabaseSettings, since: datetime, wait_s: float) -> int:
    """Queue again, and wait until the relay has sent everything; the number of rows queued.

    :class:`Unavailable` when rows are still waiting after ``wait_s`` seconds: is the service running?
    """
    schema = schema_of(settings.dsn.get_secret_value())
    clock = SystemClock()
    until = clock.monotonic() + wait_s
    async with Database.open(settings, name="republish") as db:
        async with db.platform() as conn:
            queued = await requeue(conn, schema, since)
        while True:
            async with db.platform() as conn:
                waiting = await backlog(conn, schema)
            if not waiting:
                return queued
            if clock.monotonic() >= until:
                raise Unavailable(f"{queued} rows were queued, {waiting} still wait; does the service's relay run?")
            await asyncio.sleep(LOOK_EVERY_SECONDS)


def main() -> NoReturn:
    parser = argparse.ArgumentParser(
        prog="python -m switchboard.republish", description="Send again what a broker lost, from a service's outbox"
    )
    parser.add_argument("--since", type=moment, required=True, help="the time of the broker's copy, or earlier")
    parser.add_argument("--wait-s", type=float, default=60.0, help="seconds to wait for the relay")
    arguments = parser.parse_args()
    settings = load_or_exit(Settings)
    try:
        queued = asyncio.run(republish(settings.database, arguments.since, arguments.wait_s))
    except SwitchboardError as error:
        raise SystemExit(error.detail) from None
    print(f"{queued} messages were sent again")  # noqa: T201 - an operator's command
    raise SystemExit(0)


if __name__ == "__main__":
    main()
