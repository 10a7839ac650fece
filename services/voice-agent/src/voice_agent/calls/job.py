"""One job: one call, from the room to the last fact."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import UUID

import structlog
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from switchboard.admission import END_REASON
from switchboard.blobs import Blobs
from switchboard.bus import Bus, Call
from switchboard.clock import Clock, SystemClock
from switchboard.contracts.base import Empty, Service
from switchboard.contracts.calls import (
    END_CALL,
    HEARTBEAT,
    AdmitReply,
    AdmitRequest,
    CallPlan,
    CallState,
    EndCall,
    EndReason,
    Heartbeat,
    Outcome,
)
from switchboard.errors import StaleEpoch, SwitchboardError
from switchboard.sealed import Sealed
from switchboard.sip import sip_facts
from switchboard.telemetry import bound, span

from voice_agent.adapters.bus_retriever import BusRetriever
from voice_agent.adapters.offline_brain import OfflineBrain
from voice_agent.calls.admission import admit
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.live import LiveFeed
from voice_agent.conversation.core import initial
from voice_agent.conversation.models import Answered, CallerLeft, NoticeDue, TimeIsUp
from voice_agent.conversation.phrases import default_greeting
from voice_agent.drivers.loop import ConversationLoop
from voice_agent.drivers.room import RoomDriver
from voice_agent.providers import SpeechProviders
from voice_agent.settings import Settings

_log = structlog.get_logger(__name__)

CALLER_SECONDS = 10.0
"""How long an agent waits in a room for the caller's leg."""

HEARTBEAT_SECONDS = 5.0
FLUSH_SECONDS = 10.0
_LEG_IS_GONE = (EndReason.CALLER_HUNG_UP, EndReason.CALLER_CANCELLED)


async def run_job(ctx: JobContext, settings: Settings, speech: SpeechProviders) -> None:
    """The entrypoint's body."""
    clock = SystemClock()
    with span("call job", attributes={"job.id": ctx.job.id}):
        bus, _ = await asyncio.gather(
            Bus.connect(settings.nats, settings.sealing, Service.VOICE_AGENT, clock=clock),
            ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY),
        )
        try:
            caller = await _caller(ctx)
            if caller is None:
                _log.info("nobody came into the room")
                return
            reply = await _admitted(ctx, settings, bus, clock, caller)
            if reply is not None:
                await _take(ctx, bus, clock, speech, caller, reply)
        finally:
            await _delete_room(ctx)
            await bus.drain()


async def _caller(ctx: JobContext) -> rtc.RemoteParticipant | None:
    with suppress(TimeoutError, RuntimeError):
        async with asyncio.timeout(CALLER_SECONDS):
            return await ctx.wait_for_participant(kind=[rtc.ParticipantKind.PARTICIPANT_KIND_SIP])
    return None


async def _admitted(
    ctx: JobContext, settings: Settings, bus: Bus, clock: Clock, caller: rtc.RemoteParticipant
) -> AdmitReply | None:
    """The decision; ``None`` when nobody could make one: the room goes, and the carrier hears 486."""
    request = AdmitRequest(
        room_sid=await ctx.room.sid,
        room_name=Sealed(ctx.room.name),
        sip=sip_facts(caller.attributes),
        job_id=ctx.job.id,
        at=clock.now(),
    )
    try:
        return await admit(bus, Blobs.open(settings.blobs), clock, request)
    except SwitchboardError as error:
        _log.error("no decision about a call", error=error.code)
        return None


async def _take(
    ctx: JobContext, bus: Bus, clock: Clock, speech: SpeechProviders, caller: rtc.RemoteParticipant, reply: AdmitReply
) -> None:
    decision = reply.decision
    tenant_id = decision.tenant_id
    with bound(call_id=reply.call_id.hex, tenant_id=tenant_id.hex if tenant_id else "_"):
        _log.info("decided", outcome=decision.outcome, reason=decision.reason, degraded=reply.degraded)
        if decision.outcome is Outcome.REFUSE or tenant_id is None or decision.plan is None:
            return
        call = _TakenCall(ctx, bus, clock, speech, caller, reply, tenant_id, decision.plan)
        await call.run()


class _TakenCall:
    """A call that is answered, if only to say a notice."""

    def __init__(
        self,
        ctx: JobContext,
        bus: Bus,
        clock: Clock,
        speech: SpeechProviders,
        caller: rtc.RemoteParticipant,
        reply: AdmitReply,
        tenant_id: UUID,
        plan: CallPlan,
    ) -> None:
        self._ctx = ctx
        self._bus = bus
        self._clock = clock
        self._speech = speech
        self._caller = caller
        self._reply = reply
        self._tenant_id = tenant_id
        self._plan = plan
        self._facts = CallFacts(bus, clock, tenant_id, reply.call_id, reply.epoch)
        self._live = LiveFeed(bus, clock, tenant_id, reply.call_id)

    async def run(self) -> None:
        room_sid = await self._ctx.room.sid
        driver = self._driver()
        reason = EndReason.AGENT_FAILED
        try:
            with span("conversation"):
                reason = await self._converse(driver)
        finally:
            _log.info("call over", reason=reason)
            # First the record, then the caller's leg, then our own ears: closing a session may take seconds.
            self._facts.ended(room_sid, reason)
            self._live.state(CallState.ENDED)
            if reason not in _LEG_IS_GONE:
                await driver.played_out()
            await _delete_room(self._ctx)
            await driver.close()
            await self._facts.flush(FLUSH_SECONDS)
            self._live.close()

    def _driver(self) -> RoomDriver:
        return RoomDriver(
            self._ctx.room,
            self._caller,
            self._speech.for_call(self._bus, self._plan.snapshot),
            self._clock,
            on_words=self._on_words,
            on_say=self._live.say,
        )

    async def _converse(self, driver: RoomDriver) -> EndReason:
        plan = self._plan
        self._loop = ConversationLoop(
            initial(plan.snapshot.version),
            driver,
            OfflineBrain(plan.snapshot, self._clock),
            BusRetriever(self._bus, self._tenant_id),
            self._facts,
            self._clock,
        )
        driver.post = self._loop.post
        await self._bus.serve_command(END_CALL, self._tenant_id, self._reply.call_id, self._end)
        tasks = [
            asyncio.create_task(self._begin(driver), name="begin"),
            asyncio.create_task(self._heartbeats(), name="heartbeats"),
        ]
        try:
            await driver.start()
            return await self._loop.run()
        finally:
            for task in tasks:
                task.cancel()

    async def _begin(self, driver: RoomDriver) -> None:
        await driver.answered()
        snapshot = self._plan.snapshot
        self._facts.answered(await self._ctx.room.sid, snapshot.version, degraded=self._reply.degraded)
        self._live.state(CallState.TALKING)
        if self._reply.decision.outcome is Outcome.NOTICE:
            self._loop.post(NoticeDue(text=self._plan.say, reason=END_REASON[self._reply.decision.reason]))
        else:
            self._loop.post(Answered(greeting=snapshot.agent.greeting or default_greeting(snapshot.name)))
        await asyncio.sleep(self._plan.max_call_seconds)
        self._loop.post(TimeIsUp())

    def _on_words(self, text: str, final: bool) -> None:
        self._live.words(text, final)
        if not final:
            self._loop.words_so_far(text)

    async def _end(self, body: EndCall, call: Call) -> Empty:
        if body.epoch < self._reply.epoch:
            raise StaleEpoch
        self._loop.post(CallerLeft(reason=body.reason))
        return Empty()

    async def _heartbeats(self) -> None:
        """Keeps the lease; a job that another has replaced leaves without a word."""
        beat = Heartbeat(call_id=self._reply.call_id, epoch=self._reply.epoch, room_sid=await self._ctx.room.sid)
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._bus.request(HEARTBEAT, beat, tenant_id=self._tenant_id)
            except StaleEpoch:
                _log.warning("another job has taken this call over")
                self._loop.post(CallerLeft(reason=EndReason.AGENT_LOST))
                return
            except SwitchboardError as error:
                _log.warning("heartbeat failed", error=error.code)


async def _delete_room(ctx: JobContext) -> None:
    """Ends every leg: the SIP side sends 486 before the answer and BYE after it."""
    try:
        await ctx.delete_room()
    except Exception as error:  # the server may have closed the room already, or be away
        _log.info("room not deleted", error=type(error).__name__)
