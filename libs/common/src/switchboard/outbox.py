"""The transactional outbox: what a service says is written in the transaction of what it did, and sent afterwards.

The row's id becomes the broker's message id, so a row that is sent twice is stored once (within the broker's window;
the consumers' :mod:`switchboard.inbox` catches the rest).

The relay sweeps across tenants while the table is under forced row-level security like every other. It reads through
``SECURITY DEFINER`` functions (``<schema>.outbox_*``, made by :func:`switchboard.migrate.outbox_sql`) rather than
through a second policy: every tenant table keeps exactly one policy, the same one, which a test can compare letter by
letter, and what the relay may do stays a short list of functions that the catalogue test knows by name.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from switchboard.db import DATABASE_ERRORS, Connection, Database
from switchboard.errors import SwitchboardError
from switchboard.tasks import asked_to_end
from switchboard.telemetry import context_headers

_log = structlog.get_logger(__name__)
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,40}")

# Notices of one transaction with the same text are sent once, however many rows it wrote.
INSERT_ROW = """
WITH row AS (INSERT INTO {schema}.outbox (tenant_id, id, subject, key, payload, headers)
  VALUES (NULLIF(current_setting('app.tenant_id', true), '')::uuid, $1, $2, $3, $4, $5) RETURNING 1)
SELECT pg_notify('outbox_{schema}', '') FROM row
"""
CLAIM = "SELECT * FROM {schema}.outbox_claim($1)"
SETTLE = "SELECT {schema}.outbox_settle($1, $2, $3, $4)"
REQUEUE = "SELECT {schema}.outbox_requeue($1)"
BACKLOG = "SELECT waiting FROM {schema}.outbox_backlog()"
PRUNE = "SELECT {schema}.outbox_prune($1)"

KEEP = timedelta(hours=24)
"""How long sent rows stay, so that a broker that lost data can be refilled from them."""


class OutgoingMessage(Protocol):
    """What goes into an outbox; contract envelopes have this shape."""

    @property
    def id(self) -> UUID: ...
    @property
    def subject(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Message:
    """A plain :class:`OutgoingMessage`."""

    id: UUID
    subject: str
    payload: bytes
    headers: Mapping[str, str]


class Publisher(Protocol):
    """Where the relay sends. Returning means that the broker has stored the message; anything else raises."""

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> None: ...


def _checked(schema: str) -> str:
    if _SCHEMA.fullmatch(schema) is None:
        raise ValueError(f"{schema!r} is not a schema name")
    return schema


async def requeue(conn: Connection, schema: str, since: datetime) -> int:
    """Queue again what was sent at or after ``since``, for a broker that lost it; the number of rows.

    What the broker still has it drops by the id, within its window; beyond that the consumers' inboxes do. Waits for a
    relay that is at work.
    """
    return int(await conn.fetchval(REQUEUE.format(schema=_checked(schema)), since))


async def backlog(conn: Connection, schema: str) -> int:
    """How many rows wait to be sent."""
    return int(await conn.fetchval(BACKLOG.format(schema=_checked(schema))))


class Outbox:
    """The writing side, one per service."""

    def __init__(self, schema: str) -> None:
        self.schema = _checked(schema)

    async def add(self, conn: Connection, message: OutgoingMessage, *, key: str | None = None) -> None:
        """Write ``message`` in the caller's tenant transaction; it is sent after the commit, or never.

        Messages with the same ``key`` (default: the subject without its last token, so one call or one document) are
        sent in the order in which they were added, as long as the transactions that add them exclude each other, for
        example by locking the row of the call. The trace that is current travels with the message unless its headers
        have one.
        """
        headers = {**context_headers(), **message.headers}
        order = message.subject.rpartition(".")[0] if key is None else key
        row = (message.id, message.subject, order, message.payload, headers)
        await conn.execute(INSERT_ROW.format(schema=self.schema), *row)


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Seconds, but for ``batch`` (rows)."""

    poll_s: float = 0.5
    batch: int = 100
    publish_timeout_s: float = 5.0
    retry_first_s: float = 0.5
    retry_most_s: float = 60.0
    prune_every_s: float = 600.0
    keep: timedelta = KEEP


class Relay:
    """Sends one schema's outbox rows. Any number of replicas may run; one at a time works, so that order is kept.

    A notice only wakes it up early: the poll finds everything, so a lost notice costs ``poll_s`` and no more.
    """

    def __init__(
        self,
        db: Database,
        schema: str,
        publisher: Publisher,
        monotonic: Callable[[], float],
        settings: RelaySettings | None = None,
    ) -> None:
        self._db = db
        self._publisher = publisher
        self._monotonic = monotonic
        self._settings = settings or RelaySettings()
        self._schema = _checked(schema)
        self._wake = asyncio.Event()
        self._pruned_at: float | None = None

    def wake(self) -> None:
        """Look now instead of at the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. A database or a broker that is away is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name=f"outbox-listen-{self._schema}")
            tasks.create_task(self._work(), name=f"outbox-relay-{self._schema}")

    async def drain(self) -> int:
        """Send what is due now; the number of rows sent. Also the body of :meth:`run`."""
        sent = 0
        while True:
            count, full = await self.step()
            sent += count
            if not full:
                return sent

    async def step(self) -> tuple[int, bool]:
        """One batch in one transaction: (rows sent, whether more may be waiting)."""
        settings = self._settings
        async with self._db.platform() as conn:
            rows = await conn.fetch(CLAIM.format(schema=self._schema), settings.batch)
            sent: list[int] = []
            failed: dict[str, int] = {}
            for row in rows:
                if row["key"] in failed:
                    continue  # an earlier one of this key has not gone out: sending this would turn the order round
                if await self._send(row["id"], row["subject"], row["payload"], row["headers"]):
                    sent.append(row["seq"])
                else:
                    failed[row["key"]] = row["seq"]
            await conn.execute(
                SETTLE.format(schema=self._schema),
                sent,
                list(failed.values()),
                timedelta(seconds=settings.retry_first_s),
                timedelta(seconds=settings.retry_most_s),
            )
        return len(sent), len(rows) == settings.batch and bool(sent)

    async def _send(self, row_id: UUID, subject: str, payload: bytes, headers: Mapping[str, str]) -> bool:
        try:
            async with asyncio.timeout(self._settings.publish_timeout_s):
                await self._publisher.publish(subject, payload, headers, row_id.hex)
        except Exception as error:  # any failure means "not stored": the row stays and is tried again
            _log.warning("outbox row not sent", schema=self._schema, message_id=row_id.hex, error=type(error).__name__)
            return False
        return True

    async def prune(self) -> int:
        """Delete rows that were sent longer ago than they are kept; the number of rows."""
        async with self._db.platform() as conn:
            return int(await conn.fetchval(PRUNE.format(schema=self._schema), self._settings.keep))

    async def _work(self) -> None:
        while not asked_to_end():
            self._wake.clear()
            try:
                await self.drain()
                await self._prune_when_due()
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("outbox relay waits", schema=self._schema, error=type(error).__name__)
            await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._settings.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _prune_when_due(self) -> None:
        now = self._monotonic()
        if self._pruned_at is None or now - self._pruned_at >= self._settings.prune_every_s:
            self._pruned_at = now
            await self.prune()

    async def _listen(self) -> None:
        """Hold a LISTEN; it must be given again on each new connection."""
        while not asked_to_end():
            try:
                async with self._db.listener() as conn:
                    await self._hear(conn)
            except (SwitchboardError, *DATABASE_ERRORS) as error:
                _log.warning("outbox listener waits", schema=self._schema, error=type(error).__name__)
            await asyncio.sleep(self._settings.poll_s)

    async def _hear(self, conn: Connection) -> None:
        """Until the connection ends."""
        gone = asyncio.Event()

        def ended(_conn: object) -> None:
            gone.set()

        def noticed(*_: object) -> None:
            self.wake()

        channel = f"outbox_{self._schema}"
        conn.add_termination_listener(ended)
        await conn.add_listener(channel, noticed)
        self.wake()  # for what was written before the LISTEN took hold
        try:
            await gone.wait()
        finally:
            if not conn.is_closed():
                conn.remove_termination_listener(ended)
                await conn.remove_listener(channel, noticed)
