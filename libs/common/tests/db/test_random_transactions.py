"""Thousands of tenants' transactions over a small pool, ended in every way there is: nothing of one reaches the next.

The seed is printed; TENANT_SEED repeats what is drawn, not how the tasks meet. TENANT_TRANSACTIONS says how many:
20,000 in `make prove`.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from fleet.prove import Tried
from switchboard.db import Connection, Database, database
from switchboard.testing.database import MigratedDatabase

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

TRANSACTIONS = int(os.environ.get("TENANT_TRANSACTIONS", "1500"))
TENANTS = tuple(UUID(int=number) for number in range(1, 6))
POOL = 3
WORKERS = 9

SETTING = "SELECT coalesce(current_setting('app.tenant_id', true), '')"
INSERT = "INSERT INTO calls.inbox (tenant_id, consumer, message_id) VALUES ($1, 'c', $2)"
SEEN = "SELECT message_id, tenant_id FROM calls.inbox"
COUNTED = """
SELECT count(*) AS seen, count(*) FILTER (WHERE tenant_id <> $1) AS foreign,
  count(*) FILTER (WHERE message_id = ANY ($2)) AS new
FROM calls.inbox
"""
# What a session has been given besides what it was opened with. The isolation is this transaction's own; asyncpg switches
# jit off and on again when it looks up a type.
LEFT_SET = """
SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT IN ('transaction_isolation', 'jit')
UNION ALL SELECT name, current_setting(name, true) FROM unnest(ARRAY['app.tenant_id', 'hnsw.iterative_scan']) AS name
WHERE current_setting(name, true) NOT IN ('', 'off')
"""
IDLE = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE '%transaction%'
"""


class Thrown(Exception):
    """An error of the code between two statements."""


@dataclass
class Ledger:
    """What must be in the table at the end, and what went wrong on the way."""

    committed: dict[UUID, set[UUID]] = field(default_factory=lambda: {tenant: set() for tenant in TENANTS})
    unknown: set[UUID] = field(default_factory=set)
    """Cancelled while the commit was under way: there or not, whole or not at all."""
    endings: dict[str, int] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)


class Run:
    """One run: ``ends`` is drawn for each transaction, from one seeded source."""

    def __init__(self, db: Database, rng: random.Random) -> None:
        self.db = db
        self.rng = rng
        self.ledger = Ledger()
        self._left = TRANSACTIONS

    async def work(self) -> None:
        while self._left > 0:
            self._left -= 1
            if self.rng.random() < 0.1:
                await self._nobodys()
            else:
                await self._somebodys()

    async def _nobodys(self) -> None:
        """A transaction without a tenant finds none set and sees nothing."""
        async with self.db.platform() as conn:
            found = await conn.fetchval(SETTING)
            seen = await conn.fetch(SEEN)
        if found or seen:
            self.ledger.leaks.append(f"without a tenant: setting {found!r}, {len(seen)} rows")

    async def _somebodys(self) -> None:
        tenant = self.rng.choice(TENANTS)
        rows = [UUID(int=self.rng.getrandbits(128)) for _ in range(self.rng.randint(1, 3))]
        body = self.rng.choice(BODIES)
        done = asyncio.Event()
        task = asyncio.create_task(self._transaction(tenant, rows, body, done))
        if self.rng.random() < 0.35:
            for _ in range(self.rng.randint(0, 40)):  # to another await each time
                await asyncio.sleep(0)
            task.cancel()
        ending = await self._ended(task)
        self.ledger.endings[ending] = self.ledger.endings.get(ending, 0) + 1
        if ending == "committed":
            self.ledger.committed[tenant].update(rows)
        elif ending == "cancelled" and done.is_set():
            self.ledger.unknown.update(rows)

    @staticmethod
    async def _ended(task: asyncio.Task[None]) -> str:
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        except Thrown:
            return "thrown"
        except asyncpg.QueryCanceledError:
            return "timed out"
        except asyncpg.PostgresError as error:
            return type(error).__name__
        return "committed"

    async def _transaction(self, tenant: UUID, rows: list[UUID], body: Body, done: asyncio.Event) -> None:
        vector = self.rng.random() < 0.2
        async with self.db.tenant(tenant, vector=vector) as conn:
            for row in rows:
                await conn.execute(INSERT, tenant, row)
            known = len(self.ledger.committed[tenant])  # before looking: others commit meanwhile
            found = await conn.fetchrow(COUNTED, tenant, rows)
            assert found is not None
            if found["foreign"] or found["new"] != len(rows) or found["seen"] < known + len(rows):
                self.ledger.leaks.append(f"tenant {tenant.int}: {dict(found)}, wanted {known} + {len(rows)}")
            await body(conn, rows[0])
            done.set()


Body = Callable[[Connection, UUID], Awaitable[Any]]


async def _nothing(conn: Connection, row: UUID) -> None:
    return


async def _more(conn: Connection, row: UUID) -> None:
    async with conn.transaction():  # a savepoint
        await conn.execute("SET LOCAL work_mem = '1MB'")
        await conn.fetchval(SETTING)


async def _undone(conn: Connection, row: UUID) -> None:
    try:
        async with conn.transaction():
            await conn.execute("SELECT set_config('app.tenant_id', '', true)")
            raise Thrown
    except Thrown:
        return


async def _throw(conn: Connection, row: UUID) -> None:
    raise Thrown


async def _twice(conn: Connection, row: UUID) -> None:
    await conn.execute(INSERT, UUID(await conn.fetchval(SETTING)), row)


async def _foreign(conn: Connection, row: UUID) -> None:
    await conn.execute(INSERT, UUID(int=99), row)


async def _long(conn: Connection, row: UUID) -> None:
    await conn.execute("SET LOCAL statement_timeout = 5")
    await conn.execute("SELECT pg_sleep(60)")


async def _broken_off(conn: Connection, row: UUID) -> None:
    """A cursor that is left open in the middle."""
    async for _ in conn.cursor("SELECT generate_series(1, 1000)", prefetch=10):
        return


BODIES: tuple[Body, ...] = (_nothing, _nothing, _nothing, _more, _undone, _throw, _twice, _foreign, _long, _broken_off)


@asynccontextmanager
async def pool(migrated: MigratedDatabase, acquired: list[str]) -> AsyncIterator[Database]:
    """``acquired`` gets the tenant that each connection had when it was handed out."""

    async def look(conn: Connection) -> None:
        acquired.append(await conn.fetchval(SETTING))

    with pytest.MonkeyPatch.context() as patch:
        # Looked at, not refused: what must not be there is not to be hidden by the guard against it.
        patch.setattr(database, "_refuse_dirty", look)
        settings = migrated.settings("call_orchestrator", max_pool=POOL).model_copy(update={"acquire_timeout_s": 120.0})
        async with Database.open(settings, name="random") as db:
            yield db


async def left_behind(db: Database, migrated: MigratedDatabase) -> list[str]:
    """Settings and open transactions of the pool's connections, all taken at once."""
    found: list[str] = []
    met = asyncio.Barrier(POOL)

    async def look() -> None:
        async with db.platform() as conn:
            await met.wait()  # so that nobody gets a connection twice
            found.extend(f"{name} = {value}" for name, value in await conn.fetch(LEFT_SET))

    async with asyncio.timeout(60):
        await asyncio.gather(*(look() for _ in range(POOL)))
    admin = await asyncpg.connect(migrated.admin_dsn)
    if await admin.fetchval(IDLE):
        found.append("a connection is still in a transaction")
    await admin.close()
    return found


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "no-reset"])
async def test_nothing_of_one_transaction_reaches_the_next(
    migrated: MigratedDatabase, monkeypatch: pytest.MonkeyPatch, reset: bool, record_property: Tried
) -> None:
    """With asyncpg's reset when a connection comes back, and without it, as behind a pooler that does not reset."""
    if not reset:
        monkeypatch.setattr(asyncpg.Connection, "get_reset_query", lambda _self: "")
    seed = int(os.environ.get("TENANT_SEED", random.randrange(2**32)))
    sys.stdout.write(f"\nseed {seed}, {TRANSACTIONS} transactions\n")
    acquired: list[str] = []
    async with pool(migrated, acquired) as db:
        run = Run(db, random.Random(seed))
        await asyncio.gather(*(run.work() for _ in range(WORKERS)))
        assert await left_behind(db, migrated) == []
    sys.stdout.write(f"{dict(sorted(run.ledger.endings.items()))}, {len(run.ledger.unknown)} rows of unknown commits\n")

    assert run.ledger.leaks == []
    assert set(acquired) == {""}
    assert all(run.ledger.committed.values())
    await counted(migrated, run.ledger)
    endings = ("committed", "cancelled", "thrown", "timed out", "UniqueViolationError", "InsufficientPrivilegeError")
    assert set(endings) <= set(run.ledger.endings), "every ending happened"
    record_property("transactions", TRANSACTIONS - run._left)


async def counted(migrated: MigratedDatabase, ledger: Ledger) -> None:
    """The table holds what was committed, and nothing else but what may have been."""
    admin = await asyncpg.connect(migrated.admin_dsn)
    rows = await admin.fetch(SEEN)
    await admin.close()
    for tenant in TENANTS:
        held = {row["message_id"] for row in rows if row["tenant_id"] == tenant}
        assert held - ledger.unknown == ledger.committed[tenant]
    assert {row["tenant_id"] for row in rows} <= set(TENANTS)
