"""One 20 ms clock for all calls, with absolute deadlines."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

log = structlog.get_logger()

PERIOD_S: Final = 0.02
# Behind by more than this the missed ticks are dropped instead of being caught up in a burst.
_MAX_BEHIND_S: Final = 0.2


class Ticking(Protocol):
    def tick(self) -> None:
        """Called every 20 ms; must not block."""


class MediaClock:
    """Ticks what is added; it sleeps while nothing is."""

    def __init__(self) -> None:
        self._members: set[Ticking] = set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.skipped_ticks = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="media-clock")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def add(self, member: Ticking) -> None:
        self._members.add(member)
        self._wake.set()

    def remove(self, member: Ticking) -> None:
        self._members.discard(member)

    @property
    def members(self) -> int:
        return len(self._members)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            if not self._members:
                self._wake.clear()
                await self._wake.wait()
            deadline = loop.time() + PERIOD_S
            while self._members:
                await asyncio.sleep(max(0.0, deadline - loop.time()))
                behind = loop.time() - deadline
                if behind > _MAX_BEHIND_S:
                    skipped = int(behind / PERIOD_S)
                    self.skipped_ticks += skipped
                    deadline += skipped * PERIOD_S
                deadline += PERIOD_S
                self._tick()

    def _tick(self) -> None:
        for member in tuple(self._members):
            try:
                member.tick()
            except Exception:
                log.exception("media tick failed")
