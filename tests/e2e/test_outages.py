"""One thing that the fleet stands on is away for ten seconds, while a call is up and while another arrives.

The thing is killed with SIGKILL and started again. What is said is judged from the sound alone, since the live words may be
away too; what each call left is read back afterwards. docs/operations/outages.md has the table of what must hold.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from fleet.api import Call, CallRecord, SwitchboardApi
from fleet.call import CALLER_NUMBER, LISTEN_AROUND, agent_judge, one_answer
from fleet.caller import Caller, CallFailed
from fleet.dialogue import END_OF_ANSWER, GREETING_TIMEOUT, LONGEST_ANSWER, REPEATS
from fleet.draw import Clinic
from fleet.e2e import RunningFleet
from fleet.judge import Judge
from fleet.onboarding import AGENT_VOICE
from fleet.process import FleetError
from fleet.prove import Tried
from fleet.questions import Expected, Question, questions
from fleet.services import LIMITS
from fleet.speech import CALLER, Samples, Synthesizer
from switchboard.http import HttpResponse, client
from voice_agent.conversation import phrases
from voice_agent.offline import phrasing

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="function"), pytest.mark.timeout(300)]

SEED = 20268
NAMES = ("postgres", "nats", "redis-app", "redis-livekit", "livekit")
AWAY_SECONDS = 10.0
LOST = ("media_lost", "agent_lost")
REFUSED_WITHIN = 6.0
"""Seconds after which a call that can't be taken has been told so."""
REDIAL_SECONDS = 1.0
"""How long people take to dial again. livekit-sip keeps a refused call's ports for a while, and there is an end of them."""

STRANGERS = LIMITS["ANONYMOUS"]
"""Requests a minute that the gateways together answer to an address without a key; one that is alone, a tenth."""

OTHER_WORDS = (phrases.NOT_HEARD, phrases.NOT_HEARD_AGAIN, phrases.STILL_THERE, phrasing.UNKNOWN, *phrasing.AGAIN)


@dataclass
class Talk:
    """A caller in a call, and the ear that judges what comes back."""

    caller: Caller
    judge: Judge
    synthesizer: Synthesizer

    async def greeted(self) -> None:
        began = await self.caller.heard.until_speech(self.caller.established_at or 0.0, GREETING_TIMEOUT)
        await self.caller.heard.until_silence(began, LONGEST_ANSWER, END_OF_ANSWER)

    async def ask(self, question: Question) -> Samples:
        """The sound of the answer."""
        _, heard = await one_answer(self.caller, self.synthesizer.speak(question.said, CALLER))
        return self.caller.heard.samples(
            heard - LISTEN_AROUND, (self.caller.heard.last_voice() or heard) + LISTEN_AROUND
        )

    async def is_answered(self, question: Question, tries: int = REPEATS + 1) -> None:
        """Rightly, by the third time of asking."""
        assert isinstance(question.expected, Expected)
        reasons = []
        for _ in range(tries):
            verdict = await asyncio.to_thread(question.expected.verdict, self.judge, await self.ask(question), "")
            if verdict.ok:
                return
            reasons.append(verdict.reason)
        raise AssertionError(f"{question.said!r} was not answered: {reasons}")

    async def goes_on(self, question: Question) -> bool:
        """Whether the question is still answered; then, or when nothing is heard, the caller hangs up."""
        try:
            await self.is_answered(question)
        except (FleetError, TimeoutError, AssertionError):
            if not self.caller.closed.done():
                await self.caller.hang_up()
            return False
        await self.caller.hang_up()
        return True

    async def is_told_that_it_cant_be_looked_up(self, question: Question) -> None:
        assert isinstance(question.expected, Expected)
        prices = [f"{question.expected.about} costs {price}." for price in question.expected.facts[:4]]
        sound = await self.ask(question)
        verdict = await asyncio.to_thread(self.judge.choose, sound, phrases.CANT_LOOK_UP, [*OTHER_WORDS, *prices])
        assert verdict.ok, verdict.reason


@dataclass
class Outage:
    """The clinic that is called, with a talk under way, and the thing that is away."""

    fleet: RunningFleet
    api: SwitchboardApi
    clinic: Clinic
    talk: Talk
    name: str

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Killed on entering; AWAY_SECONDS later, or when the block ends if that is later, it is started again."""
        clock = asyncio.get_running_loop().time
        until = clock() + AWAY_SECONDS
        await self.fleet.host.akill(self.name)
        try:
            yield
            await asyncio.sleep(max(0.0, until - clock()))  # the outage's length, not a wait for anything
        finally:
            await self.fleet.host.arevive(self.name)

    async def another_call(self) -> None:
        """A second caller is answered, greeted, and hangs up while the thing is still away."""
        async with self.fleet.phone("+15558888888") as (caller, place):
            await caller.dial(place.uri(self.clinic.number), timeout=AWAY_SECONDS)
            await Talk(caller, self.talk.judge, self.talk.synthesizer).greeted()
            await caller.hang_up()

    async def strangers(self, count: int) -> list[HttpResponse]:
        """Answers to requests without a key, for a page that is not there; from an address whose quota nobody else needs."""
        async with client(base_url=self.fleet.layout.api_url, local_address="127.0.0.2") as http:
            return [await http.get("/v1/nothing") for _ in range(count)]

    async def limits_are_local_and_strict(self) -> None:
        """A customer is served; who asks too often is told so after a tenth of the usual."""
        await self.api.tenant()
        answers = await self.strangers(STRANGERS // 5)
        statuses = Counter(answer.status_code for answer in answers)
        self.fleet.view.line(f"  {self.name} away: {dict(statuses)}")
        assert set(statuses) == {404, 429}
        assert [answer.status_code for answer in answers[: STRANGERS // 10]] == [404] * (STRANGERS // 10)
        assert f'"anonymous";q={STRANGERS // 10};' in answers[0].headers["ratelimit-policy"]
        assert int(answers[-1].headers["retry-after"]) >= 1

    async def limits_are_shared(self) -> None:
        async with asyncio.timeout(20):
            while f"q={STRANGERS};" not in (await self.strangers(1))[0].headers["ratelimit-policy"]:
                await asyncio.sleep(0.1)
        statuses = Counter(answer.status_code for answer in await self.strangers(STRANGERS + STRANGERS // 3))
        self.fleet.view.line(f"  {self.name} back: {dict(statuses)}")
        assert set(statuses) == {404, 429}
        assert statuses[404] >= STRANGERS - 1

    async def refused_call(self) -> None:
        """A second caller hears so at once instead of endless ringing."""
        clock = asyncio.get_running_loop().time
        async with self.fleet.phone("+15558888888") as (caller, place):
            began = clock()
            with pytest.raises(CallFailed) as refused:
                await caller.dial(place.uri(self.clinic.number), timeout=REFUSED_WITHIN)
            self.fleet.view.line(f"  {self.name} away: refused after {clock() - began:.1f} s: {refused.value}")
            assert "within" not in str(refused.value), "it rang until the caller gave up"

    async def next_call(self) -> None:
        """Answered as soon as everything is there again; nobody has to do anything for it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        async with asyncio.timeout(40):
            while True:
                try:
                    async with self.fleet.phone("+15557770000") as (caller, place):
                        await caller.dial(place.uri(self.clinic.number), timeout=5)
                        await Talk(caller, self.talk.judge, self.talk.synthesizer).greeted()
                        await caller.hang_up()
                    break
                except (CallFailed, TimeoutError, FleetError):
                    await asyncio.sleep(REDIAL_SECONDS)  # a caller's pace, not a wait for anything
        self.fleet.view.line(f"  {self.name} back: the next call was over {clock() - began:.1f} s later")

    async def records(self, least: int) -> list[CallRecord]:
        """Of all calls (those that were given up while it rang too), newest first, once they are over."""
        async with asyncio.timeout(60):
            while True:
                calls: list[Call] = (await self.api.list_calls()).calls
                if len(calls) >= least and all(call.state == "ended" for call in calls):
                    break
                await asyncio.sleep(0.1)
        self.fleet.view.line(f"  {self.name}: {[(call.end_reason, call.degraded, call.turns) for call in calls]}")
        return [await self.api.get_call(call.call_id) for call in calls]


@asynccontextmanager
async def talking(fleet: RunningFleet, folder: Path, name: str) -> AsyncIterator[tuple[Outage, Question]]:
    """A call that has been greeted, to a clinic of the test's own, and a question about a price of it."""
    async with fleet.clinic(SEED + NAMES.index(name)) as (api, clinic):
        question = questions(clinic, random.Random(clinic.seed + 1))[0]
        judge = agent_judge(Synthesizer(folder / "judge"), AGENT_VOICE)
        async with fleet.phone(CALLER_NUMBER) as (caller, place):
            await caller.dial(place.uri(clinic.number), timeout=40)
            talk = Talk(caller, judge, Synthesizer(place.folder / "speech"))
            await talk.greeted()
            yield Outage(fleet, api, clinic, talk, name), question


@pytest.mark.parametrize("name", ["postgres", "nats"])
async def test_calls_go_on_and_are_answered_without_what_keeps_the_records(
    running_fleet: RunningFleet, tmp_path: Path, name: Literal["postgres", "nats"], record_property: Tried
) -> None:
    """Nothing can be looked up, which is said; new calls are decided from the snapshot; every record is complete later."""
    async with talking(running_fleet, tmp_path, name) as (outage, question):
        await outage.talk.is_answered(question)
        async with outage.away():
            arriving = asyncio.create_task(outage.another_call())
            await outage.talk.is_told_that_it_cant_be_looked_up(question)
            await arriving
        await outage.talk.is_answered(question)
        await outage.talk.caller.hang_up()
        second, first = await outage.records(2)
    assert (second.call.degraded, first.call.degraded) == (True, False)
    assert (second.call.dialled, second.call.outcome) == (outage.clinic.number, "talk")
    assert second.call.caller is not None
    for record in (first, second):
        assert record.call.end_reason == "caller_hung_up"
        assert record.call.answered_at is not None
        numbers = [turn.turn for turn in record.turns]
        assert numbers == list(range(len(numbers)))
        assert record.turns[0].kind == "greeting"
    said = [turn.agent_said for turn in first.turns]
    assert phrases.CANT_LOOK_UP in said
    assert first.turns[-1].kind == "answered"
    record_property("cells", 2)


async def test_the_applications_redis_is_missed_by_no_call(
    running_fleet: RunningFleet, tmp_path: Path, record_property: Tried
) -> None:
    """What stands on it are the limits of the public API: strict and of each gateway alone until it is back."""
    async with talking(running_fleet, tmp_path, "redis-app") as (outage, question):
        async with outage.away():
            arriving = asyncio.create_task(outage.another_call())
            await outage.limits_are_local_and_strict()
            await outage.talk.is_answered(question)
            await arriving
        await outage.talk.caller.hang_up()
        await outage.limits_are_shared()
        records = await outage.records(2)
    assert [(record.call.end_reason, record.call.degraded) for record in records] == [("caller_hung_up", False)] * 2
    record_property("cells", 2)


async def test_without_livekits_redis_a_call_goes_on_and_new_ones_are_refused(
    running_fleet: RunningFleet, tmp_path: Path, record_property: Tried
) -> None:
    async with talking(running_fleet, tmp_path, "redis-livekit") as (outage, question):
        async with outage.away():
            arriving = asyncio.create_task(outage.refused_call())
            await outage.talk.is_answered(question)
            await arriving
        await outage.talk.is_answered(question)
        await outage.next_call()
        await outage.talk.is_answered(question)
        await outage.talk.caller.hang_up()
        records = await outage.records(2)
    first = records[-1]
    assert first.call.end_reason == "caller_hung_up"
    assert [turn.kind for turn in first.turns].count("answered") >= 3
    assert {record.call.end_reason for record in records[:-1]} <= {"caller_hung_up", "caller_cancelled"}
    record_property("cells", 2)


async def test_without_livekit_a_call_finds_back_or_ends_and_new_ones_are_taken_once_it_is_back(
    running_fleet: RunningFleet, tmp_path: Path, record_property: Tried
) -> None:
    """Caller and agent join their room anew when the server is there in time; nobody is left in a mute call."""
    async with talking(running_fleet, tmp_path, "livekit") as (outage, question):
        async with outage.away():
            await outage.refused_call()
        await outage.next_call()
        goes_on = await outage.talk.goes_on(question)
        running_fleet.view.line(f"  livekit back: the call {'went on' if goes_on else 'was over'}")
        records = await outage.records(2)
    first = records[-1]
    assert first.call.end_reason == "caller_hung_up" if goes_on else first.call.end_reason in LOST
    assert first.turns[0].kind == "greeting"
    assert {record.call.end_reason for record in records[:-1]} <= {"caller_hung_up", "caller_cancelled"}
    record_property("cells", 2)
