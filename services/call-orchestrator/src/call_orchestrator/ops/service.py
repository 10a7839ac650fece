"""What operators may see and do across tenants."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from switchboard.bus.deadletters import DeadLetter
from switchboard.clock import Clock
from switchboard.db import Database
from switchboard.errors import FieldProblem, InvalidInput

from call_orchestrator.admission import repository as unmatched
from call_orchestrator.admission.service import Admission, Drain
from call_orchestrator.calls.models import LiveCall, UnmatchedCall
from call_orchestrator.watch.driver import Watch
from call_orchestrator.watch.ledger import Ledger

_log = structlog.get_logger(__name__)

DeadLetters = Callable[[int], Awaitable[list[DeadLetter]]]
"""The newest dead letters' envelopes."""


class Operations:
    """Everything behind ``/ops``."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        watch: Watch,
        admission: Admission,
        drain: Drain,
        dead_letters: DeadLetters,
        clock: Clock,
    ) -> None:
        self._db = db
        self._ledger = ledger
        self._watch = watch
        self._admission = admission
        self._drain = drain
        self._dead_letters = dead_letters
        self._clock = clock

    async def live(self) -> list[LiveCall]:
        """Every tenant's calls that are not over."""
        return await self._ledger.live()

    async def unmatched(self, before: datetime | None, limit: int) -> list[UnmatchedCall]:
        """Calls that are nobody's, newest first."""
        if before is not None and before.tzinfo is None:
            problem = FieldProblem("/before", "has no time zone", "end it with Z, or with an offset such as +01:00")
            raise InvalidInput("before is wrong", fields=(problem,))
        async with self._db.platform() as conn:
            return await unmatched.listing(conn, before or self._clock.now(), limit)

    async def draining(self) -> bool:
        return await self._ledger.draining()

    async def drain(self, on: bool) -> None:
        """Of the whole fleet; other replicas follow with their next sweep."""
        await self._ledger.set_draining(on)
        self._drain.on = on
        _log.warning("drain switched", on=on)

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        return await self._dead_letters(limit)

    async def reconcile(self) -> tuple[int, int]:
        """Compare with LiveKit now: (rooms watched, records written that had waited)."""
        written = await self._admission.flush()
        await self._watch.sweep()
        await self._watch.step()
        return len(self._watch), written
