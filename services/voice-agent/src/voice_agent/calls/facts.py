"""The facts of one call, in the order of their making, each until the broker has it.

The conversation never waits for the broker: facts go into a bounded queue, and one task sends them. A fact that could not be
sent is tried again with the same message id, so that nothing is lost or doubled by a broker that was away for a while.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from uuid import UUID

import structlog
from switchboard.bus import Bus
from switchboard.clock import Clock
from switchboard.contracts.base import CallFact
from switchboard.contracts.calls import (
    CallAnswered,
    CallEnded,
    ConversationSaved,
    EndReason,
    Hypothesis,
    PassageUsed,
    TurnRecorded,
)
from switchboard.errors import InvalidInput, SwitchboardError
from switchboard.sealed import Sealed, SealError

from voice_agent.conversation.models import Source, TurnDone

_log = structlog.get_logger(__name__)

SPOOL_LIMIT = 2000
"""Facts held while the broker is away; a call of an hour makes a few hundred."""

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)


class CallFacts:
    """The single writer of one epoch: numbers facts from 1 and sends them in order."""

    def __init__(self, bus: Bus, clock: Clock, tenant_id: UUID, call_id: UUID, epoch: int) -> None:
        self._bus = bus
        self._clock = clock
        self._tenant_id = tenant_id
        self._call_id = call_id
        self._epoch = epoch
        self._seq = 0
        self._waiting: deque[tuple[UUID, CallFact]] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task = asyncio.create_task(self._send_all(), name="call facts")

    def answered(self, room_sid: str, configuration_version: int, *, degraded: bool) -> None:
        self._add(
            lambda base: CallAnswered(
                **base, room_sid=room_sid, configuration_version=configuration_version, degraded=degraded
            )
        )

    def turn(self, done: TurnDone, state_json: str) -> None:
        """One turn, and the state after it."""
        opened = done.open
        assert opened.kind is not None
        kind = opened.kind
        self._add(
            lambda base: TurnRecorded(
                **base,
                turn=done.turn,
                kind=kind,
                caller_said=tuple(
                    Hypothesis(text=Sealed(heard.text), confidence=heard.confidence) for heard in opened.caller
                ),
                agent_said=Sealed(opened.saying),
                agent_heard=Sealed(done.heard),
                interrupted=done.interrupted,
                passages=tuple(_passage(source, opened.cited) for source in opened.sources),
                timings=opened.timings,
                faults=opened.faults,
            )
        )
        self._add(lambda base: ConversationSaved(**base, turn=done.turn, state=Sealed(state_json)))

    def ended(self, room_sid: str, reason: EndReason) -> None:
        self._add(lambda base: CallEnded(**base, room_sid=room_sid, reason=reason), keep=True)

    async def flush(self, seconds: float) -> None:
        """Wait until everything is with the broker, at most ``seconds``; what is left then is named in the log."""
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            _log.error("facts were not stored", count=len(self._waiting))
        self._task.cancel()

    def _add(self, make: Callable[[dict[str, object]], CallFact], *, keep: bool = False) -> None:
        """``keep``: also when the spool is full."""
        if len(self._waiting) >= SPOOL_LIMIT and not keep:
            _log.error("the spool is full; a fact is lost")
            return
        self._seq += 1
        fact = make(
            {
                "tenant_id": self._tenant_id,
                "call_id": self._call_id,
                "epoch": self._epoch,
                "seq": self._seq,
                "at": self._clock.now(),
            }
        )
        self._waiting.append((self._bus.ids.new(), fact))
        self._empty.clear()
        self._wake.set()

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                message_id, fact = self._waiting[0]
                await self._send(message_id, fact)
                self._waiting.popleft()
            self._empty.set()

    async def _send(self, message_id: UUID, fact: CallFact) -> None:
        attempt = 0
        while True:
            try:
                await self._bus.publish_fact(fact, message_id)
                return
            except (InvalidInput, SealError) as error:
                # Trying again can't mend these; holding everything behind them would lose more.
                _log.error("a fact can't be published", contract=fact.contract(), error=type(error).__name__)
                return
            except SwitchboardError as error:
                _log.warning("a fact waits for the broker", contract=fact.contract(), error=error.code)
                await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
            except (
                Exception
            ):  # a fact that can't be written down must not take the sender, and all later facts, with it
                _log.exception("a fact can't be published", contract=fact.contract())
                return


def _passage(source: Source, cited: UUID | None) -> PassageUsed:
    return PassageUsed(
        passage_id=source.passage_id,
        document_id=source.document_id,
        document_name=Sealed(source.document_name),
        heading=Sealed(source.heading),
        text=Sealed(source.text),
        score=source.score,
        cited=source.passage_id == cited,
    )
