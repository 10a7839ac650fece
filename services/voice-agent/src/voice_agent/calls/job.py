"""One job: one call, from the room to the last fact."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

import structlog
from livekit import rtc
from livekit.agents import AutoSubscribe, JobContext
from switchboard.admission import END_REASON
from switchboard.bus import Bus, Call
from switchboard.clock import Clock, SystemClock
from switchboard.contracts.base import Empty, Service
from switchboard.contracts.calls import (
    END_CALL,
    HEARTBEAT,
    PULSE,
    AdmitReply,
    AdmitRequest,
    CallPlan,
    CallState,
    DecidedAlone,
    EndCall,
    EndReason,
    Heartbeat,
    Outcome,
)
from switchboard.errors import Conflict, StaleEpoch, SwitchboardError
from switchboard.sealed import Sealed, SealError
from switchboard.sip import sip_facts
from switchboard.telemetry import bound, span

from voice_agent.adapters.bus_retriever import BusRetriever
from voice_agent.calls.admission import admit, decided_alone
from voice_agent.calls.facts import CallFacts
from voice_agent.calls.live import LiveFeed
from voice_agent.calls.spool import Spool
from voice_agent.calls.stages import StageTimes
from voice_agent.conversation.core import initial
from voice_agent.conversation.models import Answered, CallerLeft, NoticeDue, TimeIsUp
from voice_agent.conversation.phrases import default_greeting
from voice_agent.drivers.loop import ConversationLoop
from voice_agent.drivers.room import RoomDriver
from voice_agent.ports import StreamingBrain
from voice_agent.providers import SpeechProviders
from voice_agent.settings import Settings, WorkerSettings

_log = structlog.get_logger(__name__)

CALLER_SECONDS = 10.0
"""How long an agent waits in a room for the caller's leg."""

HEARTBEAT_SECONDS = 5.0

# LiveKit cancels a job 15 s after its room has gone; these happen after that.
FLUSH_SECONDS = 10.0
CLOSE_SECONDS = 4.0
DELETE_SECONDS = 5.0

LAST_WORDS_SECONDS = 15.0
"""How long the goodbye of a call that has reached its limit may take."""

_LEG_IS_GONE = (EndReason.CALLER_HUNG_UP, EndReason.CALLER_CANCELLED)


async def run_job(ctx: JobContext, settings: Settings, speech: SpeechProviders) -> None:
    """The entrypoint's body. However it ends, the process is told to end: it would hold a call slot for ever."""
    clock = SystemClock()
    room_is_ours = True
    with span("call job", attributes={"job.id": ctx.job.id}):
        # The call goes on without it: one that is away is being connected meanwhile.
        bus = Bus.begin(settings.nats, settings.sealing, Service.VOICE_AGENT, clock=clock)
        try:
            await ctx.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
            room_is_ours = await _one_call(ctx, settings, bus, clock, speech)
        finally:
            try:
                if room_is_ours:
                    await _delete_room(ctx)
                await bus.drain()
            finally:
                ctx.shutdown("the call is over")


async def _one_call(ctx: JobContext, settings: Settings, bus: Bus, clock: Clock, speech: SpeechProviders) -> bool:
    """Whether the room is to be deleted; not when somebody else has to do with its call."""
    caller = await _caller(ctx)
    if caller is None:
        _log.info("nobody came into the room")
        return True
    request = await _request(ctx, clock, caller)
    try:
        reply = await admit(bus, settings.worker.standby, request)
    except Conflict:
        # Who has that call, or ended it, ends its room; a word or a deletion of ours could only hit somebody else.
        _log.info("that room's call is over, or another job's")
        return False
    except SwitchboardError as error:
        _log.error("no decision about a call", error=error.code)
        return True  # the carrier hears 486
    return await _take(ctx, bus, settings.worker, clock, speech, caller, reply, decided_alone(request, reply))


async def _caller(ctx: JobContext) -> rtc.RemoteParticipant | None:
    with suppress(TimeoutError, RuntimeError):
        async with asyncio.timeout(CALLER_SECONDS):
            return await ctx.wait_for_participant(kind=[rtc.ParticipantKind.PARTICIPANT_KIND_SIP])
    return None


async def _request(ctx: JobContext, clock: Clock, caller: rtc.RemoteParticipant) -> AdmitRequest:
    return AdmitRequest(
        room_sid=await ctx.room.sid,
        room_name=Sealed(ctx.room.name),
        sip=sip_facts(caller.attributes),
        job_id=ctx.job.id,
        at=clock.now(),
    )


async def _take(
    ctx: JobContext,
    bus: Bus,
    worker: WorkerSettings,
    clock: Clock,
    speech: SpeechProviders,
    caller: rtc.RemoteParticipant,
    reply: AdmitReply,
    alone: DecidedAlone | None,
) -> bool:
    """As :func:`_one_call`."""
    decision = reply.decision
    tenant_id = decision.tenant_id
    with bound(call_id=reply.call_id.hex, tenant_id=tenant_id.hex if tenant_id else "_"):
        _log.info("decided", outcome=decision.outcome, reason=decision.reason, degraded=reply.degraded)
        if tenant_id is None:
            # Nobody's call has no record but the orchestrator's list; decided without it, this line is all there is.
            await _delete_room(ctx)
            return True
        spool = Spool(worker.spool, worker.spool_mb * 1_000_000)
        facts = CallFacts(bus, spool, clock, tenant_id, reply.call_id, reply.epoch)
        if decision.outcome is Outcome.REFUSE or decision.plan is None:
            await _refuse(ctx, facts, reply, alone)
            return True
        stages = StageTimes(facts, worker.stages)
        call = _TakenCall(ctx, bus, facts, stages, clock, speech, caller, reply, tenant_id, decision.plan, alone)
        try:
            return await call.run()
        finally:
            stages.close()


async def _refuse(ctx: JobContext, facts: CallFacts, reply: AdmitReply, alone: DecidedAlone | None) -> None:
    """Admission has recorded its own refusals; one that was decided without it has no other record than this fact."""
    await _delete_room(ctx)
    if alone is not None:
        facts.ended(await ctx.room.sid, END_REASON[reply.decision.reason], alone)
    await facts.flush(FLUSH_SECONDS)


class _TakenCall:
    """A call that is answered, if only to say a notice."""

    def __init__(
        self,
        ctx: JobContext,
        bus: Bus,
        facts: CallFacts,
        stages: StageTimes,
        clock: Clock,
        speech: SpeechProviders,
        caller: rtc.RemoteParticipant,
        reply: AdmitReply,
        tenant_id: UUID,
        plan: CallPlan,
        alone: DecidedAlone | None,
    ) -> None:
        self._ctx = ctx
        self._bus = bus
        self._clock = clock
        self._speech = speech
        self._caller = caller
        self._reply = reply
        self._tenant_id = tenant_id
        self._plan = plan
        self._alone = alone
        self._replaced = False
        self._facts = facts
        self._stages = stages
        self._live = LiveFeed(bus, clock, tenant_id, reply.call_id)

    async def run(self) -> bool:
        """Until the last fact is stored; whether the room is ours to delete."""
        room_sid = await self._ctx.room.sid
        driver: RoomDriver | None = None
        reason = EndReason.AGENT_FAILED
        try:
            driver = self._driver()
            with span("conversation"):
                reason = await self._converse(driver)
        except Exception:  # the border of the call: it ends with a record, whatever it was
            _log.exception("the conversation failed")
        finally:
            _log.info("call over", reason=reason)
            await self._finish(driver, room_sid, reason)
        return not self._replaced

    async def _finish(self, driver: RoomDriver | None, room_sid: str, reason: EndReason) -> None:
        """First the record, then the caller's leg, then our own ears: closing a session may take seconds."""
        if not self._replaced:
            self._facts.ended(room_sid, reason)
            self._live.state(CallState.ENDED)
            if driver is not None and reason not in _LEG_IS_GONE:
                await driver.played_out()
            await _delete_room(self._ctx)
        closing = None if driver is None else asyncio.create_task(driver.close(), name="close")
        await self._facts.flush(FLUSH_SECONDS)
        self._live.close()
        if closing is not None:
            await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
            if not closing.done():
                closing.cancel()
            elif not closing.cancelled() and closing.exception() is not None:
                _log.warning("the session did not close well", exc_info=closing.exception())

    def _driver(self) -> RoomDriver:
        return RoomDriver(
            self._ctx.room,
            self._caller,
            self._speech.for_call(self._bus, self._plan.snapshot),
            self._clock,
            on_words=self._on_words,
            on_say=self._live.say,
            on_pause=lambda words: self._loop.pause(words),
        )

    async def _converse(self, driver: RoomDriver) -> EndReason:
        snapshot = self._plan.snapshot
        retriever = BusRetriever(self._bus, self._tenant_id)
        brain = self._speech.brain(snapshot, self._clock, retriever)
        self._loop = ConversationLoop(
            initial(snapshot.version), driver, brain, retriever, self._stages, self._clock, driver.speak_ahead
        )
        driver.post = self._loop.post
        tasks = [
            asyncio.create_task(self._watched(self._obey), name="commands"),
            asyncio.create_task(self._watched(lambda: self._begin(driver)), name="begin"),
            asyncio.create_task(self._watched(self._heartbeats), name="heartbeats"),
        ]
        try:
            # Beside the start: a caller who leaves, or an operator who ends the call, is heard during it too.
            return await self._loop.run()
        finally:
            for task in tasks:
                task.cancel()
            if isinstance(brain, StreamingBrain):
                await brain.aclose()

    async def _watched(self, work: Callable[[], Awaitable[None]]) -> None:
        """Without this a part that fails would leave the caller in silence until they give up."""
        try:
            await work()
        except Exception:
            _log.exception("a part of the call failed")
            self._loop.post(CallerLeft(reason=EndReason.AGENT_FAILED))

    async def _obey(self) -> None:
        """From when the bus is there, which may be late in the call."""
        while True:
            await self._bus.connected(None)
            try:
                await self._bus.serve_command(PULSE, self._tenant_id, self._reply.call_id, _here)
                await self._bus.serve_command(END_CALL, self._tenant_id, self._reply.call_id, self._end)
                return
            except SwitchboardError as error:
                _log.warning("operators can't end this call yet", error=error.code)
                await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _begin(self, driver: RoomDriver) -> None:
        snapshot = self._plan.snapshot
        greeting = snapshot.agent.greeting or default_greeting(snapshot.name)
        notice = self._reply.decision.outcome is Outcome.NOTICE
        # While it still rings: the first words are there when the caller is.
        driver.speak_ahead(self._plan.say if notice else greeting)
        await driver.start()
        await driver.answered()
        self._facts.answered(await self._ctx.room.sid, snapshot.version, self._alone)
        self._live.state(CallState.TALKING)
        if notice:
            self._loop.post(NoticeDue(text=self._plan.say, reason=END_REASON[self._reply.decision.reason]))
        else:
            self._loop.post(Answered(greeting=greeting))
        await asyncio.sleep(self._plan.max_call_seconds)
        self._loop.post(TimeIsUp())
        await asyncio.sleep(LAST_WORDS_SECONDS)
        self._loop.post(CallerLeft(reason=EndReason.TIME_LIMIT))

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
        """Keeps the lease; a job that another has replaced leaves without a word, and leaves the caller to it."""
        beat = Heartbeat(call_id=self._reply.call_id, epoch=self._reply.epoch, room_sid=await self._ctx.room.sid)
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            try:
                await self._bus.request(HEARTBEAT, beat, tenant_id=self._tenant_id)
            except StaleEpoch:
                _log.warning("another job has taken this call over")
                self._replaced = True
                self._loop.post(CallerLeft(reason=EndReason.AGENT_LOST))
                return
            except Conflict:
                _log.warning("this call's record is closed")
                self._loop.post(CallerLeft(reason=EndReason.AGENT_LOST))
                return
            except (SwitchboardError, SealError) as error:
                _log.warning("heartbeat failed", error=type(error).__name__)


async def _here(_body: Empty, _call: Call) -> Empty:
    return Empty()


async def _delete_room(ctx: JobContext) -> None:
    """Ends every leg: the SIP side sends 486 before the answer and BYE after it."""
    try:
        async with asyncio.timeout(DELETE_SECONDS):
            await ctx.delete_room()
    except Exception as error:  # the server may have closed the room already, or be away
        _log.info("room not deleted", error=type(error).__name__)
