"""What every write of this service has in common: one transaction with its effect, its audit row and its facts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from switchboard.audit import Line
from switchboard.bus import Message
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, Fact
from switchboard.db import Connection, Database
from switchboard.errors import Conflict, InternalError, NotFound
from switchboard.ids import Ids
from switchboard.outbox import Outbox
from switchboard.repeats import Attempt, Repeats
from switchboard.repeats import Keys as AnswerKeys
from switchboard.sealed import Cipher

from tenant_svc.audit.chains import Chains, Wrapping
from tenant_svc.tenants.repository import LOCK_TENANT

SCHEMA = "tenancy"
MadeT = TypeVar("MadeT")


def repeated(made: MadeT, wanted: MadeT) -> MadeT:
    """What an earlier request made, when the same is asked for again; :class:`Conflict` for something else by its id."""
    if made != wanted:
        raise Conflict("that idempotency key was used for another request; use a fresh one")
    return made


class Keys(Wrapping, AnswerKeys, Protocol):
    """The keyring, as far as every write needs it."""


class Facts(Protocol):
    """The bus, as far as a write needs it."""

    async def encode(self, fact: Fact) -> Message: ...


class DataKeys(Protocol):
    """The keyring, as far as this service needs it."""

    async def cipher(self, tenant_id: UUID | None) -> Cipher: ...

    def create(self, tenant_id: UUID) -> bytes: ...

    async def publish(self, tenant_id: UUID, wrapped: bytes) -> None: ...

    async def destroy(self, tenant_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class Write:
    """An open transaction of one tenant."""

    conn: Connection
    audit: Callable[[Line], Awaitable[None]]
    tell: Callable[[Fact], Awaitable[None]]
    attempt: Attempt


class Store:
    """Opens transactions. ``clock`` and ``ids`` are what everything in them is stamped with."""

    def __init__(
        self, db: Database, facts: Facts, ids: Ids, clock: Clock, keys: Keys, entropy: Callable[[int], bytes]
    ) -> None:
        self.db = db
        self.ids = ids
        self.clock = clock
        self._facts = facts
        self._outbox = Outbox(SCHEMA)
        self.repeats = Repeats(SCHEMA, keys, clock)
        self.chains = Chains(keys, self._tell, ids, entropy)

    @asynccontextmanager
    async def write(self, tenant_id: UUID, actor: Actor) -> AsyncIterator[Write]:
        """Writes of one tenant follow one another: limits hold, versions rise, and facts leave in their order.

        What may be asked for again looks for its earlier answer, and keeps the one that it gives (``Write.attempt``).
        :class:`NotFound` when there is no such tenant.
        """
        async with self.db.tenant(tenant_id) as conn:
            # Before the lock of the tenant, which would have the second one wait for the first.
            attempt = await self.repeats.attempt(conn, tenant_id, actor)
            if not await conn.fetchval(LOCK_TENANT):
                raise NotFound
            yield self.opened(conn, tenant_id, actor, attempt)
            if not attempt.settled:
                raise InternalError("a request with an idempotency key was done without keeping its answer")

    def opened(self, conn: Connection, tenant_id: UUID, actor: Actor, attempt: Attempt | None = None) -> Write:
        """For the one write that can't lock its tenant, because it makes it."""

        async def audit(line: Line) -> None:
            await self.chains.append(conn, tenant_id, actor, line, self.clock.now())

        async def tell(fact: Fact) -> None:
            await self._tell(conn, fact)

        return Write(conn, audit, tell, attempt or Attempt(self.repeats, conn))

    async def _tell(self, conn: Connection, fact: Fact) -> None:
        await self._outbox.add(conn, await self._facts.encode(fact))
