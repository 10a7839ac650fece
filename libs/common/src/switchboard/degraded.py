"""Naming a call while the database that names calls is away.

Normally a call's id is minted by whoever first inserts its room's SID, and epochs are counted from 1 by admission. When
PostgreSQL (or the bus) is away, whoever decides without it uses these two, so that every process names the same call alike
and the record that is written later from the facts is one record.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from uuid import UUID

from switchboard.ids import CallId


def degraded_call_id(room_sid: str) -> CallId:
    """The stand-in id of the call in that LiveKit room: a UUIDv8 (RFC 9562) that follows from the SID alone."""
    digest = hashlib.sha256(b"switchboard|call|" + room_sid.encode()).digest()
    value = int.from_bytes(digest[:16], "big")
    value &= ~(0xF << 76) & ~(0x3 << 62)
    return CallId(UUID(int=value | 0x8 << 76 | 0b10 << 62))


def degraded_epoch(now: datetime) -> int:
    """An epoch that no counted one reaches: Unix seconds. Admission goes on counting from it when it is back."""
    return int(now.timestamp())
