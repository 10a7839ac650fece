"""Whether each live call still has its job: asked of the job itself, since LiveKit shows a killed one for 15 s more.

A process that is killed is gone from the bus at that moment: a command to its call finds nobody. That alone proves little
(a broker that has just come back also has nobody yet), so the job must have missed its heartbeats too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from switchboard.clock import Clock
from switchboard.errors import NoResponder, SwitchboardError
from switchboard.sealed import SealError

from call_orchestrator.admission.service import CANT_RECORD, AskJob
from call_orchestrator.calls.models import LiveCall

_log = structlog.get_logger(__name__)

ABSENT_FOR = timedelta(seconds=4)
"""How long nobody may answer for a call. After an outage of the broker its clients come back within 2.5 s."""

SILENT_FOR = timedelta(seconds=6)
"""How old the last heartbeat must be; a job sends one every 5 s."""

AT_ONCE = 32

JobLost = Callable[[str, int], None]
"""Room SID, epoch of the job that is gone."""


class Pulse:
    """One per process. ``lease``: what a heartbeat adds to its time, from which the time of the last one follows."""

    def __init__(
        self,
        live: Callable[[], Awaitable[list[LiveCall]]],
        ask: AskJob,
        lost: JobLost,
        lease: timedelta,
        clock: Clock,
    ) -> None:
        self._live = live
        self._ask = ask
        self._lost = lost
        self._lease = lease
        self._clock = clock
        self._absent: dict[tuple[UUID, int], datetime] = {}

    async def look(self) -> None:
        """Ask for every live call once; tell of those whose job is gone. Raises ``Unavailable`` without the database."""
        calls = [call for call in await self._live() if call.epoch > 0 and call.room_sid is not None]
        known = {(call.id, call.epoch) for call in calls}
        self._absent = {key: since for key, since in self._absent.items() if key in known}
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(call: LiveCall) -> None:
            async with gate:
                await self._look_at(call)

        await asyncio.gather(*(one(call) for call in calls))

    async def _look_at(self, call: LiveCall) -> None:
        key = (call.id, call.epoch)
        there = await self._there(call)
        now = self._clock.now()
        if there is not False:
            # Not known counts as there: what is asked for is one unbroken absence.
            self._absent.pop(key, None)
            return
        since = self._absent.setdefault(key, now)
        if now - since >= ABSENT_FOR and self._silent(call, now):
            assert call.room_sid is not None
            _log.warning("a call has lost its job", call_id=call.id.hex, epoch=call.epoch)
            self._lost(call.room_sid, call.epoch)

    def _silent(self, call: LiveCall, now: datetime) -> bool:
        beat = None if call.lease_expires_at is None else call.lease_expires_at - self._lease
        return beat is None or now - beat >= SILENT_FOR

    async def _there(self, call: LiveCall) -> bool | None:
        """None: the bus is away, or the job is too slow to say."""
        try:
            await self._ask(call.tenant_id, call.id)
        except NoResponder:
            return False
        except (SwitchboardError, SealError):
            return None
        return True

    async def run(self, every: timedelta) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except CANT_RECORD as error:
                self._absent.clear()
                _log.warning("live calls not read", error=type(error).__name__)
            await asyncio.sleep(every.total_seconds())
