"""What is said in a call, shown while it is said. Lost when nobody looks; never waited for."""

from __future__ import annotations

import asyncio
from uuid import UUID

from switchboard.bus import Bus
from switchboard.clock import Clock
from switchboard.contracts.base import Live
from switchboard.contracts.calls import CallState, LiveSource, LiveState, LiveWords
from switchboard.sealed import Sealed

from voice_agent.conversation.models import Say, SayMore


class LiveFeed:
    """Publishes in order, from callbacks that can't wait."""

    def __init__(self, bus: Bus, clock: Clock, tenant_id: UUID, call_id: UUID) -> None:
        self._bus = bus
        self._clock = clock
        self._tenant_id = tenant_id
        self._call_id = call_id
        self._queue: asyncio.Queue[Live] = asyncio.Queue(maxsize=500)
        self._task = asyncio.create_task(self._send(), name="live feed")

    def words(self, text: str, final: bool) -> None:
        """The caller's words as they are recognised."""
        self._put(
            LiveWords(
                tenant_id=self._tenant_id,
                call_id=self._call_id,
                at=self._clock.now(),
                speaker="caller",
                text=Sealed(text),
                final=final,
            )
        )

    def say(self, effect: Say | SayMore) -> None:
        """What the agent begins to say, and the passage that it comes from."""
        if not effect.text:
            return
        now = self._clock.now()
        self._put(
            LiveWords(
                tenant_id=self._tenant_id,
                call_id=self._call_id,
                at=now,
                speaker="agent",
                text=Sealed(effect.text),
                final=True,
            )
        )
        if isinstance(effect, Say) and effect.source is not None:
            self._put(
                LiveSource(
                    tenant_id=self._tenant_id,
                    call_id=self._call_id,
                    at=now,
                    document_name=Sealed(effect.source.document_name),
                    heading=Sealed(effect.source.heading),
                    text=Sealed(effect.source.text),
                )
            )

    def state(self, state: CallState) -> None:
        self._put(LiveState(tenant_id=self._tenant_id, call_id=self._call_id, at=self._clock.now(), state=state))

    def close(self) -> None:
        self._task.cancel()

    def _put(self, event: Live) -> None:
        if not self._queue.full():
            self._queue.put_nowait(event)

    async def _send(self) -> None:
        while True:
            await self._bus.publish_live(await self._queue.get())
