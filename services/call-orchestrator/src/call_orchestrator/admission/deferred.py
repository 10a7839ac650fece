"""Calls that were decided about while the database was away: their records are written when it is back.

The facts of such a call open its record by themselves; what only admission knew (who called which number, what was
decided) waits here, in memory, and is lost with the process.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from switchboard.contracts.calls import AdmitReply, AdmitRequest

MOST = 1000


@dataclass(frozen=True, slots=True)
class DeferredCall:
    request: AdmitRequest
    reply: AdmitReply
    at: datetime


class Deferred:
    """First in, first out; the oldest fall out when there are more than :data:`MOST`."""

    def __init__(self) -> None:
        self._waiting: deque[DeferredCall] = deque(maxlen=MOST)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, call: DeferredCall) -> None:
        self._waiting.append(call)

    def peek(self) -> DeferredCall | None:
        return self._waiting[0] if self._waiting else None

    def done(self, call: DeferredCall) -> None:
        """``call`` has been written."""
        if self._waiting and self._waiting[0] is call:
            self._waiting.popleft()
