"""The worker sends what ended calls left in the spool, as soon as the broker is there."""

from __future__ import annotations

import asyncio

import structlog
from switchboard.bus import Bus
from switchboard.errors import SwitchboardError
from switchboard.telemetry import PROCESS

from voice_agent.calls.spool import Spool, SpoolFile

_log = structlog.get_logger(__name__)
_replayed = PROCESS.counter("voice_agent.spool.replayed", "Facts of ended calls that were sent from the spool")

EVERY_SECONDS = 1.0


class Replay:
    """Files oldest first, each in order. A fact that was sent before is dropped by its id, here as everywhere."""

    def __init__(self, spool: Spool, bus: Bus) -> None:
        self._spool = spool
        self._bus = bus

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if self._bus.is_connected:
                await self.once()

    async def once(self) -> None:
        """Everything that is there now; what the broker does not take waits for the next time."""
        for file in self._spool.left():
            try:
                await self._send(file)
            except (SwitchboardError, OSError) as error:
                _log.warning("the spool waits for the broker", error=type(error).__name__)
                file.close()
                return
            file.remove()

    async def _send(self, file: SpoolFile) -> None:
        count = 0
        for message in file.messages():
            await self._bus.publish(message.subject, message.payload, message.headers, message.id.hex)
            _replayed.inc()
            count += 1
        _log.info("facts of an ended call sent", count=count)
