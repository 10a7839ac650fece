"""The facts of one call, in the order of their making, each until the broker has it.

The conversation never waits for the broker: facts go into a bounded queue, and one task sends them. A fact that could not be
sent is tried again with the same message id, so that nothing is lost or doubled by a broker that was away for a while.
Meanwhile it also stands in the worker's spool (:mod:`voice_agent.calls.spool`), from which it is sent when this job is gone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import structlog
from switchboard.bus import Bus
from switchboard.clock import Clock
from switchboard.contracts.base import CallFact
from switchboard.contracts.calls import (
    CallAnswered,
    CallEnded,
    ConversationSaved,
    DecidedAlone,
    EndReason,
    Hypothesis,
    PassageUsed,
    TurnRecorded,
)
from switchboard.errors import InvalidInput, SwitchboardError
from switchboard.sealed import Sealed, SealError

from voice_agent.calls.spool import Spool, SpoolFile
from voice_agent.conversation.models import Source, TurnDone

_log = structlog.get_logger(__name__)

QUEUE_LIMIT = 2000
"""Facts held while the broker is away; a call of an hour makes a few hundred."""

RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class _Waiting:
    """``aside``: also in the spool."""

    id: UUID
    fact: CallFact
    aside: bool = False


class CallFacts:
    """The single writer of one epoch: numbers facts from 1 and sends them in order."""

    def __init__(self, bus: Bus, spool: Spool, clock: Clock, tenant_id: UUID, call_id: UUID, epoch: int) -> None:
        self._bus = bus
        self._spool = spool
        self._file: SpoolFile | None = None
        self._clock = clock
        self._tenant_id = tenant_id
        self._call_id = call_id
        self._epoch = epoch
        self._seq = 0
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._safe = asyncio.Event()
        """Nothing waits that a job which ends now would take with it."""
        self._safe.set()
        self._task = asyncio.create_task(self._send_all(), name="call facts")

    def answered(self, room_sid: str, configuration_version: int, alone: DecidedAlone | None = None) -> None:
        """``alone``: the decision, when admission did not record it."""
        self._add(
            lambda base: CallAnswered(
                **base,
                room_sid=room_sid,
                configuration_version=configuration_version,
                degraded=alone is not None,
                alone=alone,
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

    def ended(self, room_sid: str, reason: EndReason, alone: DecidedAlone | None = None) -> None:
        """``alone``: of a call that was refused without admission."""
        self._add(lambda base: CallEnded(**base, room_sid=room_sid, reason=reason, alone=alone), keep=True)

    async def flush(self, seconds: float) -> None:
        """Until everything is with the broker or in the spool, at most ``seconds``; what is lost is named in the log."""
        try:
            async with asyncio.timeout(seconds):
                await self._safe.wait()
        except TimeoutError:
            _log.error("facts were not stored", count=sum(not one.aside for one in self._waiting))
        self._task.cancel()
        await asyncio.wait({self._task})
        if self._file is not None:
            self._file.close()

    def _add(self, make: Callable[[dict[str, object]], CallFact], *, keep: bool = False) -> None:
        """``keep``: also when the queue is full."""
        if len(self._waiting) >= QUEUE_LIMIT and not keep:
            _log.error("the queue of facts is full; one is lost")
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
        self._waiting.append(_Waiting(self._bus.ids.new(), fact))
        self._safe.clear()
        self._wake.set()

    async def _send_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._send(self._waiting[0])
                self._waiting.popleft()
            if self._file is not None:
                self._file.remove()
                self._file = None
            self._safe.set()

    async def _send(self, one: _Waiting) -> None:
        attempt = 0
        name = one.fact.contract()
        while True:
            try:
                await self._bus.publish_fact(one.fact, one.id)
                return
            except (InvalidInput, SealError) as error:
                # Trying again can't mend these; holding everything behind them would lose more.
                _log.error("a fact can't be published", contract=name, error=type(error).__name__)
                return
            except SwitchboardError as error:
                _log.warning("a fact waits for the broker", contract=name, error=error.code)
                await self._put_aside()
                await self._pause(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
                attempt += 1
            except Exception:
                # A fact that can't be written down must not take the sender, and all later facts, with it.
                _log.exception("a fact can't be published", contract=name)
                return

    async def _pause(self, seconds: float) -> None:
        """Or less, when there is another fact to put aside: this job may be killed at any moment."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    await self._put_aside()
        except TimeoutError:
            return

    async def _put_aside(self) -> None:
        """Everything that waits into the spool, in order. What can't be written now is tried again with the next fact."""
        try:
            # A copy: the call goes on making facts meanwhile.
            for one in [one for one in self._waiting if not one.aside]:
                await self._put_one_aside(one)
        except (SwitchboardError, OSError) as error:
            _log.warning("facts can't be put aside", error=type(error).__name__)
        if all(one.aside for one in self._waiting):
            self._safe.set()

    async def _put_one_aside(self, one: _Waiting) -> None:
        # In a full spool there is room for the end of a call: without it the record would stay open.
        if not (isinstance(one.fact, CallEnded) or self._spool.has_room()):
            return
        try:
            message = await self._bus.encode(one.fact, one.id)
        except (InvalidInput, SealError):
            one.aside = True  # it can't be sent either, now or later
            return
        if self._file is None:
            self._file = self._spool.make(self._tenant_id, self._call_id, self._epoch)
        self._file.append(message)
        one.aside = True


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
