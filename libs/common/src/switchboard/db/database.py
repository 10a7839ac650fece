"""The pool and its two transactions: one for a tenant, one for what comes before a tenant is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from switchboard.errors import InvalidId, Unavailable
from switchboard.settings import DatabaseSettings

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool

Isolation = Literal["read_committed", "repeatable_read", "serializable"]

PLATFORM_TENANT = UUID(int=0)
"""Owns rows that belong to no clinic, such as the record of a call to a number that nobody has."""

SET_TENANT = "SELECT set_config('app.tenant_id', $1, true)"
# With its default (off), an HNSW index under row-level security hands back the k nearest rows of all tenants and the
# policy then removes most of them: one row of ten was left when it was tried.
SET_TENANT_AND_ITERATIVE_SCAN = (
    "SELECT set_config('app.tenant_id', $1, true), set_config('hnsw.iterative_scan', 'relaxed_order', true)"
)
CURRENT_TENANT = "SELECT current_setting('app.tenant_id', true)"
CHECK = "SELECT 1"

_UNREACHABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InternalClientError,  # a connection that is cut while it is being handed out
)

DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What a statement raises when the server, or the way to it, fails: for loops that wait and try again."""


class DirtyConnection(RuntimeError):
    """A pooled connection came back with a tenant set: somebody set it outside a transaction. It is thrown away."""


async def _set_codecs(conn: Connection) -> None:
    """``jsonb`` and ``json`` travel as Python values."""
    for kind in ("jsonb", "json"):
        await conn.set_type_codec(kind, schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _refuse_dirty(conn: Connection) -> None:
    # After one transaction-local setting the value is '' for good; anything else would show one tenant's rows to
    # another.
    if await conn.fetchval(CURRENT_TENANT):
        raise DirtyConnection("a pooled connection still had app.tenant_id set; it must be set in transactions only")


class Database:
    """A pool of one service's connections. Made by :meth:`open`."""

    def __init__(self, pool: Pool, acquire_timeout_s: float) -> None:
        self._pool = pool
        self._acquire_timeout_s = acquire_timeout_s

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: DatabaseSettings,
        *,
        name: str,
        init: Callable[[Connection], Awaitable[None]] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Database]:
        """A connected pool, closed at the end.

        ``name`` is shown by the server as application_name. ``init`` prepares each new connection, for codecs that need
        the database (``pgvector.asyncpg.register_vector``). ``parameters``: more of the server's, for every session.
        :class:`Unavailable` when the server can't be reached.
        """

        async def prepare(conn: Connection) -> None:
            await _set_codecs(conn)
            if init is not None:
                await init(conn)

        milliseconds = {
            "statement_timeout": settings.statement_timeout_s,
            "lock_timeout": settings.lock_timeout_s,
            "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout_s,
        }
        pool = asyncpg.create_pool(
            settings.dsn.get_secret_value(),
            min_size=min(settings.min_pool, settings.max_pool),
            max_size=settings.max_pool,
            # Above the server's own limit: the server gives up first, and says so.
            command_timeout=settings.statement_timeout_s + 5,
            timeout=settings.acquire_timeout_s,
            server_settings={
                "application_name": name,
                **{key: str(int(seconds * 1000)) for key, seconds in milliseconds.items()},
                **(parameters or {}),
            },
            init=prepare,
            setup=_refuse_dirty,
        )
        try:
            await pool
        except _UNREACHABLE as error:
            raise Unavailable("the database can't be reached") from error
        try:
            yield cls(pool, settings.acquire_timeout_s)
        finally:
            await _close(pool, settings.acquire_timeout_s)

    @asynccontextmanager
    async def tenant(
        self,
        tenant_id: UUID,
        *,
        isolation: Isolation = "read_committed",
        readonly: bool = False,
        vector: bool = False,
    ) -> AsyncIterator[Connection]:
        """A transaction that sees ``tenant_id``'s rows only; commits at the end, rolls back on an error.

        ``vector``: nearest-neighbour search over an HNSW index keeps scanning until it has enough of this tenant's
        rows. :class:`Unavailable` when no connection can be had in time.
        """
        if not isinstance(tenant_id, UUID):
            raise InvalidId("tenant_id", "the database takes UUID objects only")
        async with self._transaction(isolation, readonly) as conn:
            await conn.execute(SET_TENANT_AND_ITERATIVE_SCAN if vector else SET_TENANT, str(tenant_id))
            yield conn

    @asynccontextmanager
    async def platform(
        self, *, isolation: Isolation = "read_committed", readonly: bool = False
    ) -> AsyncIterator[Connection]:
        """A transaction without a tenant: row-level security shows it nothing.

        It is for the listed ``SECURITY DEFINER`` look-ups (which tenant does this session belong to?) and for tables
        that have no tenant.
        """
        async with self._transaction(isolation, readonly) as conn:
            yield conn

    @asynccontextmanager
    async def _transaction(self, isolation: Isolation, readonly: bool) -> AsyncIterator[Connection]:
        try:
            conn = await self._pool.acquire(timeout=self._acquire_timeout_s)
        except _UNREACHABLE as error:
            raise Unavailable("the database can't be reached") from error
        try:
            async with conn.transaction(isolation=isolation, readonly=readonly):
                yield conn
        finally:
            await self._pool.release(conn)

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[Connection]:
        """A connection of its own for ``LISTEN``; it runs no query of a tenant."""
        try:
            conn = await self._pool.acquire(timeout=self._acquire_timeout_s)
        except _UNREACHABLE as error:
            raise Unavailable("the database can't be reached") from error
        try:
            yield conn
        finally:
            await self._pool.release(conn)

    async def ready(self) -> None:
        """Returns when the server answers; for health checks. Raises otherwise."""
        async with self._transaction("read_committed", readonly=True) as conn:
            await conn.execute(CHECK)


async def _close(pool: Pool, patience_s: float) -> None:
    """Waits for borrowed connections, then cuts them off: a hung query must not keep a process from stopping."""
    try:
        async with asyncio.timeout(patience_s):
            await pool.close()
    except TimeoutError:
        pool.terminate()
