"""One judged call to a clinic of a running fleet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fleet.api import Call, CallRecord, SwitchboardApi
from fleet.caller import Caller, PhoneLine, phone
from fleet.dialogue import Dialogue, Exchange, LiveWords
from fleet.draw import Clinic
from fleet.judge import Judge
from fleet.ports import PortPool
from fleet.process import FleetError
from fleet.questions import questions
from fleet.speech import CALLER, Samples, Synthesizer, Voice
from fleet.view import View

CALLER_NUMBER = "+15557777777"
RECORD_TIMEOUT = 30.0


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
    """What a call came to."""

    exchanges: list[Exchange]
    record: CallRecord | None
    recording: Path | None
    answered_after: float
    greeting_after: float | None

    @property
    def last_of_each(self) -> list[Exchange]:
        """The last time that each question was asked."""
        last: dict[str, Exchange] = {}
        for exchange in self.exchanges:
            last[exchange.question.title] = exchange
        return list(last.values())

    def complaints(self) -> list[str]:
        """Why this call fails; empty when the caller heard right answers to everything."""
        found = [f"{e.question.title}: {e.verdict.reason}" for e in self.last_of_each if not e.verdict.ok]
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


async def judged_call(api: SwitchboardApi, clinic: Clinic, place: Phone, judge: Judge, view: View) -> CallOutcome:
    """The demo's call: greeting, the four questions, hang up, record. FleetError when no conversation came about."""
    synthesizer = Synthesizer(place.folder / "speech")
    asked = questions(clinic, random.Random(clinic.seed + 1))
    subjects = [one.name for one in clinic.treatments]
    async with listening(api, view) as words, phone(place.folder, place.ports, PhoneLine(CALLER_NUMBER)) as caller:
        view.line(f"  dialling {clinic.number}")
        await caller.dial(place.uri(clinic.number), timeout=40.0)
        dialogue = Dialogue(caller, words, judge, synthesizer, view.told)
        await dialogue.greeting()
        for question in asked:
            if question.interrupts is None:
                await dialogue.ask(question, subjects)
            else:
                await dialogue.interrupt(question, subjects)
        await caller.hang_up()
    record = await final_record(api)
    return outcome(caller, dialogue, record)


def outcome(caller: Caller, dialogue: Dialogue, record: CallRecord | None) -> CallOutcome:
    """Puts together what is known after the call."""
    dialled = caller.dialled_at or 0.0
    answered = caller.established_at or dialled
    greeting = dialogue.greeting_heard
    return CallOutcome(
        exchanges=dialogue.exchanges,
        record=record,
        recording=caller.recording,
        answered_after=answered - dialled,
        greeting_after=None if greeting is None else greeting - dialogue.wall(answered),
    )


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


async def ask_once(api: SwitchboardApi, number: str, place: Phone, text: str, view: View) -> tuple[str, Samples]:
    """Calls, asks one thing, and returns what the agent said to it and its sound. FleetError when nothing is heard."""
    synthesizer = Synthesizer(place.folder / "speech")
    async with listening(api, view) as words, phone(place.folder, place.ports, PhoneLine(CALLER_NUMBER)) as caller:
        await caller.dial(place.uri(number), timeout=40.0)
        since = caller.established_at or 0.0
        began = await caller.heard.until_speech(since, 25.0)
        await caller.heard.until_silence(began, 40.0, 0.9)
        view.told("caller", text)
        spoke = await caller.say(synthesizer.speak(text, CALLER))
        ended = await caller.said.until_silence(spoke, 60.0)
        try:
            heard = await caller.heard.until_speech(ended, 15.0)
        except TimeoutError:
            raise FleetError("the caller heard no answer") from None
        silent = await caller.heard.until_silence(heard, 60.0, 0.9)
        answer = words.said("agent", ended)
        sound = caller.heard.samples(heard - 0.1, silent + 0.1)
        await caller.hang_up()
    view.line(f"  what the caller heard: {caller.recording}")
    return answer, sound
