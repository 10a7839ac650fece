"""Ids: UUIDv7 (RFC 9562), and their only text form on the bus, 32 lower-case hexadecimal characters."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NewType
from uuid import UUID

from switchboard.clock import Clock
from switchboard.errors import InvalidId

TenantId = NewType("TenantId", UUID)
CallId = NewType("CallId", UUID)
DocumentId = NewType("DocumentId", UUID)

NOBODY = "_"
"""Stands in a subject where no tenant (or call) is known yet."""

# fullmatch, never match with "$": that lets a trailing newline through, and a newline in a subject is a new command.
_TOKEN = re.compile(r"[0-9a-f]{32}")


class Ids:
    """Makes UUIDv7 ids: 48 bits of milliseconds, then 74 random bits, so that keys sort by time."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock = clock
        self._entropy = entropy

    def new(self) -> UUID:
        """A fresh id; ids of the same millisecond are in no order."""
        milliseconds = int(self._clock.now().timestamp() * 1000)
        random = int.from_bytes(self._entropy(10), "big")
        value = (milliseconds & ((1 << 48) - 1)) << 80
        value |= 0x7 << 76 | (random >> 62 & 0xFFF) << 64
        value |= 0b10 << 62 | (random & ((1 << 62) - 1))
        return UUID(int=value)


def created_at(identifier: UUID) -> datetime:
    """The time inside a UUIDv7, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def token(identifier: UUID | None) -> str:
    """The subject token of an id; ``None`` is ``_``.

    Takes UUID objects only, so no text from outside ever becomes a token unchecked.
    """
    if identifier is None:
        return NOBODY
    if not isinstance(identifier, UUID):
        raise InvalidId("id", "an id must be a UUID before it goes into a subject")
    return identifier.hex


def parse_token(text: str, field: str = "id") -> UUID:
    """The id that a token stands for; :class:`InvalidId` for anything but 32 lower-case hex characters."""
    if not isinstance(text, str) or _TOKEN.fullmatch(text) is None:
        raise InvalidId(field, "expected 32 lower-case hexadecimal characters")
    return UUID(hex=text)


def parse_optional_token(text: str, field: str = "id") -> UUID | None:
    """Like :func:`parse_token`, with ``_`` as ``None``."""
    return None if text == NOBODY else parse_token(text, field)
