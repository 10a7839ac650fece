"""Published configurations: written to one KV bucket by tenant-svc, held in memory by whoever decides about calls.

A snapshot that is too large for a bucket entry is stored as a blob and referred to with its digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
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


class SnapshotBook:
    """Every tenant's snapshot in memory, with the number index. Kept current by :meth:`run`; reads never wait."""

    def __init__(self, bucket: Bucket, blobs: Blobs) -> None:
        self._bucket = bucket
        self._blobs = blobs
        self._by_tenant: dict[UUID, TenantSnapshot] = {}
        self._by_number: dict[str, set[UUID]] = {}
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
            snapshot = TenantSnapshot.model_validate_json(await self._whole(tenant_id, value))
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
        self._by_tenant[tenant_id] = snapshot
        for binding in snapshot.numbers:
            self._by_number.setdefault(binding.number, set()).add(tenant_id)
        async with self._changed:
            self._changed.notify_all()

    def get(self, tenant_id: UUID) -> TenantSnapshot | None:
        return self._by_tenant.get(tenant_id)

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
        return self._by_tenant.get(tenant_id)

    def owners(self, number: str) -> tuple[UUID, ...]:
        """Whose number it is, on whichever trunk and carrier account."""
        return tuple(sorted(self._by_number.get(number, ())))

    def match(self, number: str, trunk: str | None, carrier_account: str | None) -> NumberMatch:
        """The tenant that ``number`` belongs to on this very trunk and carrier account, compared exactly."""
        owners = self._by_number.get(number, set())
        for tenant_id in owners:
            snapshot = self._by_tenant[tenant_id]
            for binding in snapshot.numbers:
                if (binding.number, binding.trunk, binding.carrier_account) == (number, trunk, carrier_account):
                    return NumberMatch(snapshot, known=True)
        return NumberMatch(None, known=bool(owners))

    def _drop(self, tenant_id: UUID) -> None:
        held = self._by_tenant.pop(tenant_id, None)
        for binding in held.numbers if held is not None else ():
            owners = self._by_number.get(binding.number, set())
            owners.discard(tenant_id)
            if not owners:
                self._by_number.pop(binding.number, None)

    async def _whole(self, tenant_id: UUID, value: bytes) -> bytes:
        head = json.loads(value)
        if not isinstance(head, dict) or "ref" not in head:
            return value
        found = await self._blobs.get(parse_key(str(head["ref"]), tenant_id))
        if hashlib.sha256(found).hexdigest() != head.get("sha256"):
            raise InvalidInput("a snapshot's blob does not match its digest")
        return found
