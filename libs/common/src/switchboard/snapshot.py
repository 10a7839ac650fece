"""Published configurations: written to one KV bucket by tenant-svc, held in memory by whoever decides about calls.

A snapshot that is too large for a bucket entry is stored as a blob and referred to with its digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

import structlog
from pydantic import ValidationError

from switchboard.blobs import Blobs, key, parse_key
from switchboard.bus.kv import Bucket
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.errors import Conflict, InvalidInput, SwitchboardError
from switchboard.ids import parse_token, token

_log = structlog.get_logger(__name__)

INLINE_LIMIT = 256 * 1024
_ATTEMPTS = 5
OPEN = 256
"""Snapshots that a book keeps ready to be looked at."""


class SnapshotWriter:
    """The only writer of the bucket."""

    def __init__(self, bucket: Bucket, blobs: Blobs) -> None:
        self._bucket = bucket
        self._blobs = blobs

    async def publish(self, snapshot: TenantSnapshot) -> bool:
        """Write ``snapshot`` unless the bucket has this version or a newer one; whether it was written.

        Two writers may race: compare-and-set decides, and an older version never overwrites a newer one.
        """
        value = await self._value(snapshot)
        entry_key = token(snapshot.tenant_id)
        for _ in range(_ATTEMPTS):
            held = await self._bucket.entry(entry_key)
            if held is not None and _version(held.value) >= snapshot.version:
                return False
            try:
                await self._bucket.compare_and_set(entry_key, value, held.revision if held else 0)
            except Conflict:
                continue
            return True
        raise Conflict("the snapshot bucket is being written by too many at once")

    async def forget(self, tenant_id: UUID) -> None:
        await self._bucket.purge(token(tenant_id))

    async def _value(self, snapshot: TenantSnapshot) -> bytes:
        value = snapshot.model_dump_json().encode()
        if len(value) <= INLINE_LIMIT:
            return value
        digest = hashlib.sha256(value).hexdigest()
        where = key(snapshot.tenant_id, "snapshots", UUID(hex=digest[:32]))
        await self._blobs.put(where, value, replace=True)
        return json.dumps({"ref": str(where), "sha256": digest, "version": snapshot.version}).encode()


def _version(value: bytes) -> int:
    """Of an inline entry or a reference; 0 for something unreadable, which may be overwritten."""
    try:
        return int(json.loads(value)["version"])
    except (ValueError, KeyError, TypeError):
        return 0


@dataclass(frozen=True, slots=True)
class NumberMatch:
    """``snapshot`` of the tenant that a call belongs to; without one, ``known`` says if the number exists elsewhere."""

    snapshot: TenantSnapshot | None
    known: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """A snapshot that has been read once without a complaint: its JSON, a seventh of what it takes as objects."""

    version: int
    numbers: tuple[str, ...]
    text: bytes


class SnapshotBook:
    """Every tenant's snapshot in memory, with the number index. Kept current by :meth:`run`; reads never wait.

    Of ten thousand tenants few are called in a minute. Those of the last :data:`OPEN` that were asked for are kept as
    objects, the others as JSON, which takes some tens of microseconds to read.
    """

    def __init__(self, bucket: Bucket, blobs: Blobs) -> None:
        self._bucket = bucket
        self._blobs = blobs
        self._by_tenant: dict[UUID, _Held] = {}
        self._by_number: dict[str, set[UUID]] = {}
        self._open: OrderedDict[UUID, TenantSnapshot] = OrderedDict()
        self._caught_up = asyncio.Event()
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._by_tenant)

    @property
    def caught_up(self) -> bool:
        """Whether everything that was in the bucket at the start has been read."""
        return self._caught_up.is_set()

    async def until_caught_up(self) -> None:
        await self._caught_up.wait()

    async def run(self) -> None:
        """Follow the bucket until cancelled."""
        await self._bucket.watch(self.apply, self._caught_up.set)

    async def apply(self, entry_key: str, value: bytes | None) -> None:
        """Take one entry; an unreadable one is logged and leaves the last good one in force."""
        try:
            tenant_id = parse_token(entry_key, "tenant")
            if value is None:
                self._drop(tenant_id)
                return
            text = await self._whole(tenant_id, value)
            snapshot = TenantSnapshot.model_validate_json(text)
        except (ValidationError, ValueError, SwitchboardError) as error:
            _log.error("unreadable snapshot", error=type(error).__name__)
            return
        if snapshot.tenant_id != tenant_id:
            _log.error("snapshot under another tenant's key")
            return
        held = self._by_tenant.get(tenant_id)
        if held is not None and held.version > snapshot.version:
            return  # a second watch starts from the beginning; what it repeats is older
        self._drop(tenant_id)
        numbers = tuple(binding.number for binding in snapshot.numbers)
        self._by_tenant[tenant_id] = _Held(snapshot.version, numbers, text)
        for number in numbers:
            self._by_number.setdefault(number, set()).add(tenant_id)
        async with self._changed:
            self._changed.notify_all()

    def get(self, tenant_id: UUID) -> TenantSnapshot | None:
        snapshot = self._open.get(tenant_id)
        if snapshot is not None:
            self._open.move_to_end(tenant_id)
            return snapshot
        held = self._by_tenant.get(tenant_id)
        if held is None:
            return None
        snapshot = self._open[tenant_id] = TenantSnapshot.model_validate_json(held.text)
        if len(self._open) > OPEN:
            self._open.popitem(last=False)
        return snapshot

    def tenants(self) -> tuple[UUID, ...]:
        """Everybody who has published."""
        return tuple(self._by_tenant)

    async def at_least(self, tenant_id: UUID, version: int, seconds: float) -> TenantSnapshot | None:
        """The snapshot as soon as it has reached ``version``; ``None`` when it has not within ``seconds``.

        For whoever hears of a version on another way than the bucket's, and may hear it first.
        """

        def reached() -> bool:
            held = self._by_tenant.get(tenant_id)
            return held is not None and held.version >= version

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(reached)
        except TimeoutError:
            return None
        return self.get(tenant_id)

    def owners(self, number: str) -> tuple[UUID, ...]:
        """Whose number it is, on whichever trunk and carrier account."""
        return tuple(sorted(self._by_number.get(number, ())))

    def match(self, number: str, trunk: str | None, carrier_account: str | None) -> NumberMatch:
        """The tenant that ``number`` belongs to on this very trunk and carrier account, compared exactly."""
        owners = self._by_number.get(number, set())
        for tenant_id in owners:
            snapshot = self.get(tenant_id)
            for binding in snapshot.numbers if snapshot is not None else ():
                if (binding.number, binding.trunk, binding.carrier_account) == (number, trunk, carrier_account):
                    return NumberMatch(snapshot, known=True)
        return NumberMatch(None, known=bool(owners))

    def _drop(self, tenant_id: UUID) -> None:
        self._open.pop(tenant_id, None)
        held = self._by_tenant.pop(tenant_id, None)
        for number in held.numbers if held is not None else ():
            owners = self._by_number.get(number, set())
            owners.discard(tenant_id)
            if not owners:
                self._by_number.pop(number, None)

    async def _whole(self, tenant_id: UUID, value: bytes) -> bytes:
        head = json.loads(value)
        if not isinstance(head, dict) or "ref" not in head:
            return value
        found = await self._blobs.get(parse_key(str(head["ref"]), tenant_id))
        if hashlib.sha256(found).hexdigest() != head.get("sha256"):
            raise InvalidInput("a snapshot's blob does not match its digest")
        return found
