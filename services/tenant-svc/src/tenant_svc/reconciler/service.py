"""Keeps LiveKit's trunks and rules equal to PostgreSQL's: what LiveKit holds is a projection, and may be lost at any time."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg
import structlog
from switchboard.clock import Clock
from switchboard.contracts.snapshot import PLATFORM_TRUNK
from switchboard.db import DATABASE_ERRORS, Database
from switchboard.errors import SwitchboardError, Unavailable
from switchboard.ids import token
from switchboard.sealed import SealError

from tenant_svc.reconciler import repository as sql
from tenant_svc.reconciler.models import Inventory, Plan, RuleSpec, SpecT, TrunkSpec
from tenant_svc.reconciler.plan import difference
from tenant_svc.store import DataKeys
from tenant_svc.trunks.service import PASSWORD
from tenant_svc.validation import Network, overlaps

_log = structlog.get_logger(__name__)

ROUND_S = 20.0
"""A round that takes longer is given up: it holds a transaction open, and the server ends those that idle for 30 s."""


class Sip(Protocol):
    """One media cell's LiveKit."""

    async def trunks(self) -> Inventory[TrunkSpec]: ...
    async def create_trunk(self, spec: TrunkSpec) -> str: ...
    async def replace_trunk(self, trunk_id: str, spec: TrunkSpec) -> None: ...
    async def delete_trunk(self, trunk_id: str) -> None: ...
    async def rules(self) -> Inventory[RuleSpec]: ...
    async def create_rule(self, spec: RuleSpec) -> str: ...
    async def replace_rule(self, rule_id: str, spec: RuleSpec) -> None: ...
    async def delete_rule(self, rule_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """What every trunk and rule has in common. ``carriers`` are the blocks that the platform's trunk lets in."""

    carriers: tuple[Network, ...]
    agent_name: str
    room_prefix: str
    ringing_timeout_s: int
    max_call_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """One round over one cell, in counts. ``failed`` are those LiveKit refused; ``left_out`` those we don't write."""

    cell: str
    at: datetime
    ok: bool
    trunks: int = 0
    created: int = 0
    replaced: int = 0
    deleted: int = 0
    failed: int = 0
    left_out: int = 0
    foreign: int = 0
    error: str = ""


def _nobody(_outcome: Outcome) -> None:
    return


class Reconciler:
    """One per media cell. ``told`` hears of every round, for metrics."""

    def __init__(
        self,
        cell: str,
        sip: Sip,
        db: Database,
        keys: DataKeys,
        policy: Policy,
        clock: Clock,
        told: Callable[[Outcome], None] = _nobody,
    ) -> None:
        self.cell = cell
        self._told = told
        self._sip = sip
        self._db = db
        self._keys = keys
        self._policy = policy
        self._clock = clock
        self._wake = asyncio.Event()
        self.last: Outcome | None = None

    def wake(self) -> None:
        """Something has changed: look now instead of at the next round."""
        self._wake.set()

    async def check(self) -> None:
        """For health: raises unless the last round went well."""
        if self.last is None or not self.last.ok:
            raise Unavailable("LiveKit's trunks and rules may differ from the database")

    async def run(self, every_s: float) -> None:
        """Now, whenever woken, and every ``every_s`` seconds, until cancelled."""
        while True:
            self._wake.clear()
            await self.once()
            try:
                async with asyncio.timeout(every_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def once(self) -> Outcome:
        """One round. Never raises: what went wrong is in the outcome."""
        before = self.last
        try:
            async with asyncio.timeout(ROUND_S):
                self.last = await self._round()
        except asyncpg.LockNotAvailableError:
            # Another replica is at it. What it finds is what this one would have found.
            self.last = before or Outcome(self.cell, self._clock.now(), ok=False, error="Busy")
        except (SwitchboardError, *DATABASE_ERRORS) as error:
            self.last = Outcome(self.cell, self._clock.now(), ok=False, error=type(error).__name__)
        self._told(self.last)
        self._tell(before, self.last)
        return self.last

    def _tell(self, before: Outcome | None, now: Outcome) -> None:
        """Only what is new: an outage of an hour is not a line every few seconds."""
        changed = now.created + now.replaced + now.deleted > 0
        if changed or before is None or (before.ok, before.error) != (now.ok, now.error):
            _log.info(
                "reconciled" if now.ok else "not reconciled",
                cell=self.cell,
                created=now.created,
                replaced=now.replaced,
                deleted=now.deleted,
                failed=now.failed,
                error=now.error,
            )

    async def _round(self) -> Outcome:
        async with self._db.platform() as conn:
            await conn.execute(sql.LOCK_CELL, self.cell)
            rows = await conn.fetch(sql.SELECT_TRUNKS, self.cell)
            desired = await self._desired(rows)
            trunks = await self._sip.trunks()
            work = _Work()
            ids = await work.apply(difference(desired, trunks), _trunk_writer(self._sip))
            rules = await self._sip.rules()
            wanted = [self._rule(key, trunk_id) for key, trunk_id in ids.items()]
            await work.apply(difference(wanted, rules), _rule_writer(self._sip))
        return Outcome(
            self.cell,
            self._clock.now(),
            ok=not work.failed,
            trunks=len(desired),
            created=work.created,
            replaced=work.replaced,
            deleted=work.deleted,
            failed=work.failed,
            left_out=len(rows) + 1 - len(desired),
            foreign=trunks.foreign + rules.foreign,
            error="Refused" if work.failed else "",
        )

    def _rule(self, key: str, trunk_id: str) -> RuleSpec:
        return RuleSpec(key, trunk_id, self._policy.agent_name, self._policy.room_prefix)

    async def _desired(self, rows: Sequence[asyncpg.Record]) -> list[TrunkSpec]:
        policy = self._policy
        platform = TrunkSpec(
            key=PLATFORM_TRUNK,
            addresses=tuple(sorted(str(network) for network in policy.carriers)),
            numbers=(),
            ringing_timeout_s=policy.ringing_timeout_s,
            max_call_s=policy.max_call_s,
        )
        found = [platform]
        for row in rows:
            spec = await self._customers(row)
            if spec is not None:
                found.append(spec)
        return found

    async def _customers(self, row: asyncpg.Record) -> TrunkSpec | None:
        """A customer's trunk; ``None`` for one that must not be written."""
        addresses = tuple(sorted(row["allowed_addresses"]))
        # Checked when it was added; but the carriers' blocks are a setting, and may have grown since.
        if any(overlaps(ipaddress.ip_network(address), self._policy.carriers) for address in addresses):
            return None
        if not addresses or not row["numbers"]:
            return None
        password = ""
        if row["auth_password_sealed"] is not None:
            try:
                cipher = await self._keys.cipher(row["tenant_id"])
                password = PASSWORD.open(cipher, row["id"], bytes(row["auth_password_sealed"]))
            except SealError:
                return None  # the tenant's key has been destroyed: its trunk is on its way out
        return TrunkSpec(
            key=token(row["id"]),
            addresses=addresses,
            numbers=tuple(sorted(row["numbers"])),
            ringing_timeout_s=self._policy.ringing_timeout_s,
            max_call_s=self._policy.max_call_s,
            username=row["auth_username"] or "",
            password=password,
        )


@dataclass(frozen=True, slots=True)
class _Writer:
    create: Callable[[Any], Awaitable[str]]
    replace: Callable[[str, Any], Awaitable[None]]
    delete: Callable[[str], Awaitable[None]]


def _trunk_writer(sip: Sip) -> _Writer:
    return _Writer(sip.create_trunk, sip.replace_trunk, sip.delete_trunk)


def _rule_writer(sip: Sip) -> _Writer:
    return _Writer(sip.create_rule, sip.replace_rule, sip.delete_rule)


class _Work:
    """Carries plans out and counts. One trunk that LiveKit refuses does not keep the others from being written."""

    def __init__(self) -> None:
        self.created = self.replaced = self.deleted = self.failed = 0

    async def apply(self, plan: Plan[SpecT], writer: _Writer) -> dict[str, str]:
        """Our name -> LiveKit's id, of everything that is there afterwards."""
        ids = dict(plan.kept)
        for delete in plan.deletes:
            self.deleted += await self._done(writer.delete(delete.id)) is not None
        for change in plan.replaces:
            self.replaced += await self._done(writer.replace(change.id, change.spec)) is not None
        for create in plan.creates:
            made = await self._done(writer.create(create.spec))
            if made is not None:
                ids[create.spec.key] = made
                self.created += 1
        return ids

    async def _done(self, request: Awaitable[str | None]) -> str | None:
        """The id or ""; ``None`` when it was refused. An outage ends the round."""
        try:
            return await request or ""
        except Unavailable:
            raise
        except SwitchboardError:
            self.failed += 1
            return None
