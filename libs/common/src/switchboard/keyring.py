"""Tenants' data keys: made by tenant-svc, kept wrapped under the master key, opened by every service that reads words.

The wrapped key of each tenant stands in the KV bucket ``tenant-keys`` (PostgreSQL has the record). Purging the entry and
the row destroys the key, and with it everything that streams, blobs and backups still hold of the tenant's words.
What belongs to no tenant yet is sealed under a platform key that follows from the master key.

Keys are replaced while calls go on, by ``python -m tenant_svc.rotate`` (docs/operations/secrets.md). A master key: every
process opens with several and seals with one. A data key: the new one is made known first and seals a while later, so
that nobody meets what it can't open.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from switchboard.clock import Clock
from switchboard.errors import Unavailable
from switchboard.ids import NOBODY, token
from switchboard.sealed import DataKey, DataKeys, SealError
from switchboard.wrapped import WrappedKey, parse, render

_WRAP = "tenant-data-key"
FRESH_SECONDS = 60.0
"""How long an opened key is used before the bucket is asked whether it still exists."""

CONFIRM_SECONDS = 0.25
"""How long that question may take: it is asked in the middle of calls, and an opened key is at hand."""

UNCONFIRMED_SECONDS = 5.0
"""How long a key that could not be confirmed is used before the bucket is asked again."""


class WrappedKeys(Protocol):
    """Where wrapped keys rest. ``None``: there is no such key (any more). Raises ``Unavailable`` when it can't be asked."""

    async def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None: ...

    async def purge(self, key: str) -> None: ...


class Keyring:
    """Opens data keys and remembers them for a minute."""

    def __init__(
        self,
        master_key: bytes,
        store: WrappedKeys,
        clock: Clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        *,
        others: Sequence[bytes] = (),
        fresh_s: float = FRESH_SECONDS,
    ) -> None:
        """``others`` are master keys that open as well; ``fresh_s`` stands in for :data:`FRESH_SECONDS`."""
        masters = (master_key, *others)
        self._master = DataKeys([DataKey(_derived(key, b"wrap"), "platform", entropy) for key in masters])
        self._platform = DataKeys([DataKey(_derived(key, b"platform"), NOBODY, entropy) for key in masters])
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._fresh_s = fresh_s
        self._open: dict[UUID, tuple[float, DataKeys]] = {}

    async def cipher(self, tenant_id: UUID | None) -> DataKeys:
        """The cipher of a tenant (``None``: of the platform).

        :class:`SealError` when the tenant has no key or its key was destroyed; ``Unavailable`` when nobody can tell and
        no copy is at hand. A copy that can't be confirmed goes on being used: calls outlive the bucket.
        """
        if tenant_id is None:
            return self._platform
        held = self._open.get(tenant_id)
        now = self._clock.monotonic()
        if held is not None and now - held[0] < self._fresh_s:
            return held[1]
        try:
            async with asyncio.timeout(None if held is None else CONFIRM_SECONDS):
                wrapped = await self._store.get(token(tenant_id))
        except (Unavailable, TimeoutError):
            if held is None:
                raise
            self._open[tenant_id] = (now - self._fresh_s + UNCONFIRMED_SECONDS, held[1])
            return held[1]
        if wrapped is None:
            self._open.pop(tenant_id, None)
            raise SealError("this tenant has no data key")
        key = self.opened(tenant_id, wrapped)
        self._open[tenant_id] = (now, key)
        return key

    def adopt(self, tenant_id: UUID, wrapped: bytes) -> None:
        """Use a wrapped key that another process has read; the bucket is asked about it as soon as it can be.

        :class:`SealError` when it is not that tenant's, or wrapped under another master key.
        """
        unconfirmed = self._clock.monotonic() - self._fresh_s
        self._open.setdefault(tenant_id, (unconfirmed, self.opened(tenant_id, wrapped)))

    def opened(self, tenant_id: UUID, wrapped: bytes) -> DataKeys:
        """The keys in ``wrapped``; :class:`SealError` when they are not that tenant's, or of a master key unknown here."""
        purpose = _purpose(tenant_id)
        raw = [self._master.open(key.wrapped, purpose) for key in parse(wrapped)]
        return DataKeys([DataKey(key, token(tenant_id), self._entropy) for key in raw])

    def create(self, tenant_id: UUID) -> bytes:
        """A fresh data key for a new tenant, wrapped; the caller stores it, then calls :meth:`publish`."""
        return self._master.seal(self._entropy(32), _purpose(tenant_id))

    def rewrapped(self, tenant_id: UUID, wrapped: bytes) -> bytes | None:
        """The same data keys under the master key in force; ``None`` when they are under it already."""
        purpose = _purpose(tenant_id)
        keys = parse(wrapped)
        if all(self._master.current(key.wrapped, purpose) for key in keys):
            return None
        return render([replace(key, wrapped=self.rewrap(key.wrapped, purpose)) for key in keys])

    def with_coming(self, tenant_id: UUID, wrapped: bytes, now: datetime) -> bytes:
        """A further data key at the end of ``wrapped``: it opens, and does not seal before :meth:`promoted`."""
        coming = WrappedKey(self.create(tenant_id), int(now.timestamp()))
        return render([*parse(wrapped), coming])

    @staticmethod
    def promoted(wrapped: bytes) -> bytes:
        """The key at the end of ``wrapped`` becomes the one that seals; the others go on opening."""
        *before, newest = parse(wrapped)
        return render([newest, *before])

    def wrap(self, key: bytes, purpose: str) -> bytes:
        """A key of another kind than data keys, under the master key in force; ``purpose`` says which it is."""
        return self._master.seal(key, purpose)

    def unwrap(self, wrapped: bytes, purpose: str) -> bytes:
        """What :meth:`wrap` took; :class:`SealError` for another purpose or an unknown master key."""
        return self._master.open(wrapped, purpose)

    def rewrap(self, wrapped: bytes, purpose: str) -> bytes:
        """``wrapped`` under the master key in force."""
        return self._master.seal(self._master.open(wrapped, purpose), purpose)

    def is_current(self, wrapped: bytes, purpose: str) -> bool:
        """Whether ``wrapped`` is under the master key in force."""
        return self._master.current(wrapped, purpose)

    async def publish(self, tenant_id: UUID, wrapped: bytes) -> None:
        """Make a stored wrapped key known to the fleet."""
        await self._store.put(token(tenant_id), wrapped)

    async def destroy(self, tenant_id: UUID) -> None:
        """Purge the fleet's copy; other processes notice within a minute."""
        await self._store.purge(token(tenant_id))
        self._open.pop(tenant_id, None)


def _purpose(tenant_id: UUID) -> str:
    return f"{_WRAP}|{token(tenant_id)}"


def _derived(master_key: bytes, use: bytes) -> bytes:
    if len(master_key) != 32:
        raise ValueError("the master key has 32 bytes")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"switchboard|" + use).derive(master_key)
