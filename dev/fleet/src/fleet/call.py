"""One judged call to a clinic of a running fleet."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fleet.api import Call, CallRecord, SwitchboardApi
from fleet.caller import Caller, PhoneLine, phone
from fleet.dialogue import Dialogue, Exchange, LiveWords, Script
from fleet.draw import Clinic
from fleet.judge import Judge, Verdict
from fleet.ports import PortPool
from fleet.process import FleetError
from fleet.questions import Expected, Question, questions
from fleet.speech import CALLER, Samples, Synthesizer, Voice
from fleet.tap import Track
from fleet.view import View

CALLER_NUMBER = "+15557777777"
CALLER_NAME = "Quillon Abernathy"
RECORD_TIMEOUT = 30.0
LISTEN_AROUND = 0.1
"""Seconds before and after what was heard that belong to it: its first and last sounds are quiet."""


@dataclass(frozen=True)
class Phone:
    """Where calls go, and where their files are kept."""

    folder: Path
    sip_host: str
    sip_port: int
    ports: PortPool

    def uri(self, number: str) -> str:
        return f"sip:{number}@{self.sip_host}:{self.sip_port}"


@dataclass
class CallOutcome:
    """What a call came to. `heard` and `said` are on the caller's clock; `offset` makes seconds since the epoch of it."""

    exchanges: list[Exchange]
    record: CallRecord | None
    recording: Path | None
    answered_after: float
    greeting_after: float | None
    heard: Track
    said: Track
    offset: float
    broke: str = ""

    @property
    def last_of_each(self) -> list[Exchange]:
        """The last time that each question was asked."""
        last: dict[str, Exchange] = {}
        for exchange in self.exchanges:
            last[exchange.question.title] = exchange
        return list(last.values())

    def complaints(self) -> list[str]:
        """Why this call fails; empty when the caller heard right answers to everything."""
        found = [self.broke] if self.broke else []
        found += [f"{e.question.title}: {e.verdict.reason}" for e in self.last_of_each if not e.verdict.ok]
        found += [
            f"interruption: {e.interruption.reason}"
            for e in self.last_of_each
            if e.interruption is not None and not e.interruption.ok
        ]
        if self.record is None:
            found.append("the API has no record of the call")
        elif self.record.call.state != "ended":
            found.append(f"the call's record is still {self.record.call.state}")
        return found


class CallBroken(FleetError):
    """No conversation came about. `outcome` is what is known of the call nevertheless."""

    def __init__(self, reason: str, outcome: CallOutcome) -> None:
        super().__init__(reason)
        self.outcome = outcome


def agent_judge(synthesizer: Synthesizer, voice_name: str) -> Judge:
    """A judge that knows how the agent speaks: its voice, its speed, and how it cuts a text into sentences."""
    # Imported late: it brings the media library along, which takes a second.
    from voice_agent.offline.spoken import sentences, spoken
    from voice_agent.offline.voice import VoiceSettings

    settings = VoiceSettings(voice=voice_name)
    voice = Voice(settings.voice, settings.speed, settings.pitch)
    return Judge(synthesizer, voice, lambda text: sentences(spoken(text)))


@asynccontextmanager
async def listening(api: SwitchboardApi, view: View) -> AsyncIterator[LiveWords]:
    """Follows the public live events as long as the block lasts; entered once the server listens."""
    words = LiveWords()
    clock = asyncio.get_running_loop().time
    async with api.listen() as events:

        async def follow() -> None:
            async for event in events:
                words.add(clock(), event)
                view.live(event)

        task = asyncio.create_task(follow())
        try:
            yield words
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def judged_call(
    api: SwitchboardApi, clinic: Clinic, place: Phone, judge: Judge, view: View, script: Script | None = None
) -> CallOutcome:
    """Greeting, the questions (the demo's four, unless a script has others), hang up, record.

    CallBroken when no conversation came about.
    """
    synthesizer = Synthesizer(place.folder / "speech")
    script = script or Script(tuple(questions(clinic, random.Random(clinic.seed + 1))))
    subjects = [one.name for one in clinic.treatments]
    line = PhoneLine(CALLER_NUMBER, name=CALLER_NAME)
    async with listening(api, view) as words, phone(place.folder, place.ports, line) as caller:
        view.line(f"  dialling {clinic.number}")
        await caller.dial(place.uri(clinic.number), timeout=40.0)
        dialogue = Dialogue(caller, words, judge, synthesizer, view.told, script.enough)
        broke: FleetError | TimeoutError | None = None
        try:
            await dialogue.greeting()
            for question in script.questions:
                await script.before(question)
                if question.interrupts is None:
                    await dialogue.ask(question, subjects)
                else:
                    await dialogue.interrupt(question, subjects)
        except (FleetError, TimeoutError) as error:
            broke = error
        await caller.hang_up()
    found = outcome(caller, dialogue.exchanges, dialogue.greeting_heard, dialogue.wall(0.0))
    return await closed(api, found, broke)


def outcome(caller: Caller, exchanges: list[Exchange], greeting: float | None, offset: float) -> CallOutcome:
    """Puts together what the caller knows after the call. `greeting` is when it was heard, in seconds since the epoch."""
    dialled = caller.dialled_at or 0.0
    answered = caller.established_at or dialled
    return CallOutcome(
        exchanges=exchanges,
        record=None,
        recording=caller.recording,
        answered_after=answered - dialled,
        greeting_after=None if greeting is None else greeting - (answered + offset),
        heard=caller.heard,
        said=caller.said,
        offset=offset,
    )


async def closed(api: SwitchboardApi, found: CallOutcome, broke: Exception | None) -> CallOutcome:
    """The outcome with the call's record; CallBroken with both when something went wrong."""
    found.record = await final_record(api)
    if broke is not None:
        found.broke = str(broke)
        raise CallBroken(found.broke, found) from broke
    return found


async def final_record(api: SwitchboardApi) -> CallRecord | None:
    """The newest call's record once it is over; whatever there is when that takes too long."""
    newest: Call | None = None
    with suppress(TimeoutError):
        async with asyncio.timeout(RECORD_TIMEOUT):
            while newest is None or newest.state != "ended":
                await asyncio.sleep(0.2)
                calls = (await api.list_calls(limit=1)).calls
                newest = calls[0] if calls else None
    return None if newest is None else await api.get_call(newest.call_id)


Judged = Callable[[Samples, str], Awaitable[Verdict]]
"""Whether a sound is these words."""


async def ask_once(
    api: SwitchboardApi, number: str, place: Phone, text: str, judged: Judged, view: View
) -> CallOutcome:
    """Calls, asks one thing, and judges whether the agent's answer was what was heard. CallBroken without an answer."""
    synthesizer = Synthesizer(place.folder / "speech")
    offset = time.time() - asyncio.get_running_loop().time()
    exchanges: list[Exchange] = []
    greeting: float | None = None
    part = (0.0, 0.0)
    broke: FleetError | TimeoutError | None = None
    async with listening(api, view) as words, phone(place.folder, place.ports, PhoneLine(CALLER_NUMBER)) as caller:
        await caller.dial(place.uri(number), timeout=40.0)
        try:
            greeting = await caller.heard.until_speech(caller.established_at or 0.0, 25.0)
            await caller.heard.until_silence(greeting, 40.0, 0.9)
            view.told("caller", text)
            ended, heard = await one_answer(caller, synthesizer.speak(text, CALLER))
            answer = words.said("agent", ended)
            part = (heard - LISTEN_AROUND, (caller.heard.last_voice() or heard) + LISTEN_AROUND)
            question = Question("what was asked", text, Expected("", ()))
            verdict = Verdict(False, "not judged", (), 0.0)
            exchanges.append(Exchange(question, text, 0, ended + offset, heard + offset, answer, verdict))
        except (FleetError, TimeoutError) as error:
            broke = error
        await caller.hang_up()
    if broke is None:
        exchanges[0].verdict = await judged(caller.heard.samples(*part), exchanges[0].text)
    found = outcome(caller, exchanges, None if greeting is None else greeting + offset, offset)
    return await closed(api, found, broke)


async def one_answer(caller: Caller, question: Samples) -> tuple[float, float]:
    """Asks and listens; returns when the question ended and when the answer began, which is over by now."""
    spoke = await caller.say(question)
    ended = await caller.said.until_silence(spoke, 60.0)
    try:
        heard = await caller.heard.until_speech(ended, 15.0)
    except TimeoutError:
        raise FleetError("the caller heard no answer") from None
    await caller.heard.until_silence(heard, 60.0, 0.9)
    return ended, heard
