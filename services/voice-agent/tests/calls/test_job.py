"""One job from its room to its last fact: however it ends, there is a record, and nobody else's room is touched."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest
from switchboard.bus import Bus
from switchboard.clock import SystemClock
from switchboard.contracts import calls
from switchboard.contracts.base import CallFact
from switchboard.contracts.calls import AdmitReply, CallPlan, Decision, DecisionReason, EndCall, EndReason, Outcome
from switchboard.contracts.snapshot import TenantSnapshot, TenantStatus
from switchboard.errors import Conflict, InternalError, StaleEpoch, Unavailable
from switchboard.ids import Ids
from voice_agent.calls import admission, job
from voice_agent.conversation.models import CallerLeft, Event, Say, SpeechEnded
from voice_agent.providers import SpeechProviders
from voice_agent.settings import Settings, WorkerSettings

pytestmark = pytest.mark.unit

TENANT, CALL = uuid.uuid4(), uuid.uuid4()
SNAPSHOT = TenantSnapshot(
    tenant_id=TENANT,
    version=3,
    published_at=datetime(2026, 3, 2, tzinfo=UTC),
    status=TenantStatus.LIVE,
    name="Harbour Clinic",
    time_zone="UTC",
)


def reply(outcome: Outcome = Outcome.TALK, *, degraded: bool = False, seconds: int = 900) -> AdmitReply:
    decision = Decision(
        outcome=outcome,
        reason=DecisionReason.OPEN if outcome is Outcome.TALK else DecisionReason.TENANT_NOT_LIVE,
        tenant_id=TENANT,
        plan=CallPlan(snapshot=SNAPSHOT, max_call_seconds=seconds),
    )
    return AdmitReply(call_id=CALL, epoch=2, decision=decision, degraded=degraded)


class FakeBus:
    """Admits with ``admits``, answers each heartbeat with the next of ``beats``; keeps the facts."""

    def __init__(self) -> None:
        self.ids = Ids(SystemClock())
        self.admits: AdmitReply | Exception = reply()
        self.beats: list[Exception] = []
        self.facts: list[CallFact] = []
        self.end: Callable[[EndCall, Any], Awaitable[object]] | None = None
        self.drained = False
        self.keyring = None
        self.there = asyncio.Event()
        self.there.set()

    async def connected(self, seconds: float | None) -> None:
        if seconds is None:
            await self.there.wait()
        elif not self.there.is_set():
            raise Unavailable

    async def request(self, spec: object, body: object, **_: object) -> object:
        if spec is calls.ADMIT:
            if isinstance(self.admits, Exception):
                raise self.admits
            return self.admits
        if self.beats:
            raise self.beats.pop(0)
        return calls.HeartbeatReply(lease_seconds=15)

    async def serve_command(self, spec: object, tenant_id: uuid.UUID, call_id: uuid.UUID, handler: Any) -> None:
        self.end = handler

    async def publish_fact(self, fact: CallFact, message_id: uuid.UUID) -> None:
        assert not self.drained
        self.facts.append(fact)

    async def publish_live(self, live: object) -> None:
        return

    async def drain(self) -> None:
        self.drained = True

    def reasons(self) -> list[EndReason]:
        return [fact.reason for fact in self.facts if isinstance(fact, calls.CallEnded)]


class FakeContext:
    """What a job is given: a room with a caller in it."""

    def __init__(self) -> None:
        self.job = SimpleNamespace(id="AJ_1")
        self.room = FakeRoom()
        self.deleted = 0
        self.shut_down = 0
        self.caller = SimpleNamespace(attributes={}, identity="sip_1")
        self.cannot_connect: Exception | None = None

    async def connect(self, **_: object) -> None:
        if self.cannot_connect is not None:
            raise self.cannot_connect

    async def wait_for_participant(self, **_: object) -> object:
        return self.caller

    async def delete_room(self) -> None:
        self.deleted += 1

    def shutdown(self, reason: str) -> None:
        self.shut_down += 1


class FakeRoom:
    name = "call-1"

    @property
    async def sid(self) -> str:
        return "RM_1"


class FakeDriver:
    """Speaks in no time. ``fails`` and ``hangs`` name methods that do; ``mute`` never ends an utterance."""

    fails = ""
    hangs = ""
    mute = False
    closed = 0
    prepared: ClassVar[list[str]] = []
    saying: asyncio.Event

    def __init__(self, *_: object, **__: object) -> None:
        self.post: Callable[[Event], None] = lambda event: None

    async def _do(self, name: str) -> None:
        if self.fails == name:
            raise RuntimeError(name)
        if self.hangs == name:
            await asyncio.Event().wait()

    def speak_ahead(self, text: str) -> None:
        type(self).prepared.append(text)

    async def start(self) -> None:
        await self._do("start")

    async def answered(self) -> None:
        await self._do("answered")

    async def played_out(self) -> None:
        return

    async def close(self) -> None:
        type(self).closed += 1
        await self._do("close")

    def say(self, effect: Say) -> None:
        if self.fails == "say":
            raise RuntimeError("say")
        if not self.mute:
            self.post(SpeechEnded(utterance=effect.utterance, heard=effect.text, interrupted=False))
        self.saying.set()


class Fixture:
    """``own``: what the worker decides when the bus doesn't answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.bus, self.ctx = FakeBus(), FakeContext()
        self.own: AdmitReply | Exception = Unavailable()
        self.driver: Any = type("Driver", (FakeDriver,), {"saying": asyncio.Event(), "prepared": []})
        self._folder = folder

        async def ask_standby(*_: object) -> AdmitReply:
            if isinstance(self.own, Exception):
                raise self.own
            return self.own

        monkeypatch.setattr(Bus, "begin", lambda *_, **__: self.bus)
        monkeypatch.setattr(job, "RoomDriver", self.driver)
        monkeypatch.setattr(admission, "ask_standby", ask_standby)
        for name in ("HEARTBEAT_SECONDS", "LAST_WORDS_SECONDS", "CLOSE_SECONDS", "DELETE_SECONDS"):
            monkeypatch.setattr(job, name, 0.01)

    async def run(self) -> None:
        speech = cast("SpeechProviders", SimpleNamespace(for_call=lambda *_: None, brain=lambda *_: None))
        worker = WorkerSettings.model_validate({"state": self._folder})
        settings = cast("Settings", SimpleNamespace(nats=None, sealing=None, worker=worker))
        async with asyncio.timeout(10):
            await job.run_job(cast("Any", self.ctx), settings, speech)


@pytest.fixture
async def one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fixture:
    return Fixture(monkeypatch, tmp_path)


async def test_an_operator_ends_a_call_and_the_job_frees_its_process(one: Fixture) -> None:
    running = asyncio.create_task(one.run())
    await one.driver.saying.wait()
    assert one.bus.end is not None
    with pytest.raises(StaleEpoch):
        await one.bus.end(EndCall(epoch=1), None)
    await one.bus.end(EndCall(epoch=2), None)
    await running
    assert one.bus.reasons() == [EndReason.OPERATOR_ENDED]
    assert one.ctx.deleted
    assert one.ctx.shut_down
    assert one.bus.drained


async def test_the_first_words_are_made_while_it_rings(one: Fixture) -> None:
    one.driver.fails = "start"  # the caller's leg is not even asked for
    await one.run()
    (greeting,) = one.driver.prepared
    assert greeting


async def test_a_job_that_was_replaced_leaves_the_call_to_the_other(one: Fixture) -> None:
    one.bus.beats = [Unavailable(), StaleEpoch()]
    await one.run()
    assert one.bus.reasons() == []
    assert one.ctx.deleted == 0
    assert (one.driver.closed, one.ctx.shut_down, one.bus.drained) == (1, 1, True)


async def test_a_call_whose_record_is_closed_ends(one: Fixture) -> None:
    one.bus.beats = [Conflict()]
    await one.run()
    assert one.bus.reasons() == [EndReason.AGENT_LOST]
    assert one.ctx.deleted


async def test_a_room_whose_call_is_over_is_left_as_it_is(one: Fixture) -> None:
    one.bus.admits = Conflict()
    await one.run()
    assert (one.ctx.deleted, one.bus.facts) == (0, [])
    assert (one.ctx.shut_down, one.bus.drained) == (1, True)


@pytest.mark.parametrize("part", ["start", "answered", "say"])
async def test_whatever_part_fails_the_call_ends_with_a_record(one: Fixture, part: str) -> None:
    one.driver.fails = part
    await one.run()
    assert one.bus.reasons() == [EndReason.AGENT_FAILED]
    assert one.ctx.deleted
    assert one.ctx.shut_down


@pytest.mark.parametrize("outcome", ["fails", "hangs"])
async def test_a_session_that_does_not_close_keeps_no_fact_back(one: Fixture, outcome: str) -> None:
    one.bus.beats = [Conflict()]
    setattr(one.driver, outcome, "close")
    await one.run()
    assert one.bus.reasons() == [EndReason.AGENT_LOST]
    assert one.bus.drained


async def test_a_caller_who_leaves_while_the_session_starts_is_heard(
    one: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(self: FakeDriver) -> None:
        self.post(CallerLeft(reason=EndReason.CALLER_CANCELLED))
        await asyncio.Event().wait()

    monkeypatch.setattr(one.driver, "start", start)
    await one.run()
    assert one.bus.reasons() == [EndReason.CALLER_CANCELLED]


async def test_the_limit_holds_also_when_the_goodbye_never_ends(one: Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    one.bus.admits = reply(seconds=1)
    one.driver.mute = True
    await one.run()
    assert one.bus.reasons() == [EndReason.TIME_LIMIT]


async def test_without_any_decision_the_caller_is_not_left_ringing(one: Fixture) -> None:
    one.bus.there.clear()
    await one.run()
    assert one.ctx.deleted
    assert one.ctx.shut_down


@pytest.mark.parametrize("away", ["never reached", "does not answer"])
async def test_without_a_bus_the_call_is_answered_and_tells_the_record_all_that_admission_would_have(
    one: Fixture, away: str
) -> None:
    one.own = reply(degraded=True)
    one.bus.admits = Unavailable()
    if away == "never reached":
        one.bus.there.clear()
    running = asyncio.create_task(one.run())
    await one.driver.saying.wait()
    one.bus.there.set()
    while one.bus.end is None:  # an operator reaches the call once the bus is there
        await asyncio.sleep(0)
    await one.bus.end(EndCall(epoch=2), None)
    await running
    answered = next(fact for fact in one.bus.facts if isinstance(fact, calls.CallAnswered))
    assert answered.degraded
    assert answered.alone is not None
    assert answered.alone.request.room_sid == "RM_1"
    assert (answered.alone.outcome, answered.alone.reason) == (Outcome.TALK, DecisionReason.OPEN)
    assert (answered.alone.max_call_seconds, answered.alone.configuration_version) == (900, 3)


async def test_a_decision_that_admission_recorded_is_not_told_again(one: Fixture) -> None:
    one.bus.beats = [Conflict()]
    await one.run()
    answered = next(fact for fact in one.bus.facts if isinstance(fact, calls.CallAnswered))
    assert (answered.degraded, answered.alone) == (False, None)


async def test_a_room_that_can_not_be_joined_leaks_no_connection(one: Fixture) -> None:
    one.ctx.cannot_connect = RuntimeError("no media")
    with pytest.raises(RuntimeError):
        await one.run()
    assert one.ctx.shut_down


async def test_no_decision_ends_the_call_before_the_answer(one: Fixture) -> None:
    one.bus.admits = InternalError()
    await one.run()
    assert one.ctx.deleted
    assert one.bus.facts == []


@pytest.mark.parametrize(("degraded", "recorded"), [(True, [EndReason.TENANT_NOT_LIVE]), (False, [])])
async def test_a_refusal_decided_alone_leaves_a_record(one: Fixture, degraded: bool, recorded: list[EndReason]) -> None:
    one.bus.admits = reply(Outcome.REFUSE, degraded=degraded)
    await one.run()
    assert one.bus.reasons() == recorded
    assert [fact.alone is not None for fact in one.bus.facts if isinstance(fact, calls.CallEnded)] == [True] * degraded
    assert one.ctx.deleted
