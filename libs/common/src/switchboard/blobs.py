"""Bytes at rest: a folder on one machine (``file://``), a bucket elsewhere (``s3://``), the same four operations.

Every key begins with its tenant, ``t/<tenant>/...``, and is built from ids and names of our own, never from a name that
somebody uploaded. What is private is sealed by its owner before it comes here. Credentials and region of S3 come from
the usual ``AWS_*`` variables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore, S3Store

from switchboard.errors import Conflict, InvalidId, NotFound, TooLarge, Unavailable
from switchboard.settings import BlobSettings

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}(\.[a-z0-9]{1,8})?")

MAX_BYTES = 64 * 1024 * 1024
"""The largest blob that is read into memory unless the caller says otherwise."""


@dataclass(frozen=True, slots=True)
class BlobKey:
    """A checked key; made by :func:`key` and :func:`parse_key` only."""

    path: str
    tenant_id: UUID

    def __str__(self) -> str:
        return self.path


def key(tenant_id: UUID, *parts: UUID | str) -> BlobKey:
    """``t/<tenant>/<part>/...``: ids, or lower-case names such as ``documents`` or ``original.pdf``.

    :class:`InvalidId` for anything else, before any I/O.
    """
    if not isinstance(tenant_id, UUID) or not parts:
        raise InvalidId("key", "a blob key is a tenant's UUID and at least one part")
    return BlobKey("/".join(("t", tenant_id.hex, *map(_part, parts))), tenant_id)


def parse_key(path: str, tenant_id: UUID) -> BlobKey:
    """The key that ``path`` was made from, when it is ``tenant_id``'s; for keys that came in a message."""
    head, _, rest = path.partition("/")
    owner, _, tail = rest.partition("/")
    if head != "t" or owner != tenant_id.hex or not tail:
        raise InvalidId("key", "this is not a key of this tenant")
    return BlobKey("/".join(("t", owner, *map(_name_or_hex, tail.split("/")))), tenant_id)


def _part(part: UUID | str) -> str:
    if isinstance(part, UUID):
        return part.hex
    if _NAME.fullmatch(part) is None:
        raise InvalidId("key", "a part of a blob key is a UUID or a lower-case name")
    return part


def _name_or_hex(part: str) -> str:
    if re.fullmatch(r"[0-9a-f]{32}", part):
        return part
    return _part(part)


class Blobs:
    """The store. Failures of the store itself raise :class:`Unavailable`."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store

    @classmethod
    def open(cls, settings: BlobSettings) -> Blobs:
        """The store that ``settings.url`` names; a folder is made when it isn't there."""
        parts = urlsplit(settings.url)
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return cls(LocalStore(folder))
        prefix = parts.path.strip("/")
        return cls(S3Store(parts.netloc, prefix=prefix or None))

    async def put(self, where: BlobKey, data: bytes, *, replace: bool = False) -> None:
        """Store ``data``, whole or not at all. :class:`Conflict` when there is something and ``replace`` is not set."""
        try:
            await obstore.put_async(self._store, where.path, data, mode="overwrite" if replace else "create")
        except AlreadyExistsError:
            raise Conflict("there is a blob under this key already") from None
        except (BaseError, OSError) as error:
            raise Unavailable("the blob store did not take it") from error

    async def get(self, where: BlobKey, *, max_bytes: int = MAX_BYTES) -> bytes:
        """The bytes; :class:`NotFound`, or :class:`TooLarge` beyond ``max_bytes``."""
        try:
            found = await obstore.get_async(self._store, where.path)
            if found.meta["size"] > max_bytes:
                raise TooLarge(f"this blob is larger than {max_bytes} bytes")
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            raise NotFound("there is no such blob") from None
        except (BaseError, OSError) as error:
            raise Unavailable("the blob store did not answer") from error

    async def delete(self, where: BlobKey) -> None:
        """Gone afterwards, whether or not it was there."""
        await self._delete(where.path)

    async def delete_tenant(self, tenant_id: UUID) -> int:
        """Erase everything of a tenant; the number of blobs."""
        if not isinstance(tenant_id, UUID):
            raise InvalidId("tenant_id", "a tenant is a UUID")
        count = 0
        try:
            async for batch in obstore.list(self._store, prefix=f"t/{tenant_id.hex}/"):
                for entry in batch:
                    await self._delete(entry["path"])
                    count += 1
        except (BaseError, OSError) as error:
            raise Unavailable("the blob store did not answer") from error
        return count

    async def _delete(self, path: str) -> None:
        try:
            await obstore.delete_async(self._store, path)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise Unavailable("the blob store did not answer") from error

    async def ready(self) -> None:
        """Returns when the store answers; for health checks."""
        try:
            async for _ in obstore.list(self._store, prefix="t/", chunk_size=1):
                return
        except (BaseError, OSError) as error:
            raise Unavailable("the blob store did not answer") from error
