"""The chain: each line's hash covers the line, its place and the hash before it. Pure.

The hash is HMAC-SHA256 under a key of the tenant's audit, which rests wrapped under the master key. Who can write into the
database but has no master key can therefore neither change nor add nor move a line: without the key there is no right hash.
What a key can't show, that lines were cut off at the end, shows in the head that is kept outside of the table.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from switchboard.audit import canonical
from switchboard.contracts.audit import AuditHead

FIRST_HASH = bytes(32)
"""Stands in the place of the hash before the first line."""

ANCHORED_WITHIN = timedelta(minutes=1)
"""A chain whose newest line is younger may still wait for its first anchor."""

COVERED = (
    *(
        "tenant_id",
        "seq",
        "id",
        "at",
        "actor_kind",
        "actor_id",
        "actor_roles",
        "action",
        "resource_kind",
        "resource_id",
    ),
    *("service", "ip", "user_agent", "request_id", "trace_id", "state_before", "state_after"),
)
"""The columns that the hash covers, beside ``prev_hash``: all but ``hash`` itself."""


def digest(key: bytes, row: Mapping[str, Any], prev_hash: bytes) -> bytes:
    """The hash of ``row`` (the :data:`COVERED` columns) after a line with ``prev_hash``."""
    covered = {column: _plain(row[column]) for column in COVERED} | {"prev_hash": prev_hash.hex()}
    return hmac.digest(key, canonical(covered).encode(), "sha256")


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return list(value) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Head:
    """The newest line: its place and its hash."""

    seq: int = 0
    hash: bytes = FIRST_HASH

    @classmethod
    def of(cls, anchored: AuditHead) -> Head:
        return cls(anchored.seq, bytes.fromhex(anchored.hash))


class Walk:
    """Follows one chain line by line. ``problem`` is the first thing that is wrong, in words; "" while all is well."""

    def __init__(self, key: bytes, anchor: Head | None) -> None:
        self._key = key
        self._anchor = anchor
        self.at = Head()
        self.problem = ""
        self.unanchored = 0
        """At the end: lines that hold, and that the anchor has not reached."""
        self._written_at: datetime | None = None

    def take(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Whether the chain still holds after these lines, given in the order of their numbers."""
        for row in rows:
            self.problem = self._problem(row)
            if self.problem:
                return False
            self.at = Head(int(row["seq"]), bytes(row["hash"]))
            self._written_at = row["at"]
        return True

    def end(self, head: Head, now: datetime) -> bool:
        """Whether the chain ends where it should: at ``head``, the database's own note, and not before the anchor."""
        if self.problem:
            return False
        last, anchor = self.at, self._anchor
        if anchor is not None and last.seq < anchor.seq:
            self.problem = (
                f"lines {last.seq + 1} to {anchor.seq} are missing at the end: line {anchor.seq} was anchored"
            )
        elif last != head:
            self.problem = f"the chain ends at line {last.seq}, but tenancy.audit_chains says line {head.seq}"
        else:
            self.unanchored = last.seq - (anchor.seq if anchor is not None else 0)
            if anchor is None and self._written_at is not None and now - self._written_at > ANCHORED_WITHIN:
                self.problem = f"no head is anchored, so nothing shows whether lines after {last.seq} were cut off"
        return not self.problem

    def _problem(self, row: Mapping[str, Any]) -> str:
        seq, wanted = int(row["seq"]), self.at.seq + 1
        if seq != wanted:
            return f"line {wanted} is missing: the next one there is is line {seq}"
        if not hmac.compare_digest(bytes(row["hash"]), digest(self._key, row, bytes(row["prev_hash"]))):
            return f"line {seq} was changed, or was not written by the service: its hash is not that of its content"
        if bytes(row["prev_hash"]) != self.at.hash:
            return f"line {seq} does not follow line {seq - 1}: it names another hash before it"
        if self._anchor is not None and self._anchor.seq == seq and self._anchor.hash != bytes(row["hash"]):
            return f"line {seq} is not the one that was anchored"
        return ""
