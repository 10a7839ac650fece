"""The ear's chain over simulated ears and a simulated detector: who hears what, when a link is given up, what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from livekit import rtc
from livekit.agents import LanguageCode, stt, vad
from switchboard.contracts.providers import OFFLINE
from voice_agent.chains.breaker import Breaker
from voice_agent.chains.stt import RATE, ChainedSTT

pytestmark = pytest.mark.unit

Kind = stt.SpeechEventType
FRAME = rtc.AudioFrame(bytes(RATE // 50 * 2), RATE, 1, RATE // 50)


def event(kind: stt.SpeechEventType, text: str = "") -> stt.SpeechEvent:
    data = stt.SpeechData(language=LanguageCode("en"), text=text, confidence=0.9)
    return stt.SpeechEvent(type=kind, alternatives=[data] if text else [])


class EarStream:
    """What a link hears is put into ``out``: an event, or an exception that ends it."""

    def __init__(self) -> None:
        self.out: asyncio.Queue[stt.SpeechEvent | Exception] = asyncio.Queue()
        self.frames = 0
        self.flushed = asyncio.Event()
        self.closed = False

    def push_frame(self, _: rtc.AudioFrame) -> None:
        self.frames += 1

    def flush(self) -> None:
        self.flushed.set()

    async def aclose(self) -> None:
        self.closed = True

    def __aiter__(self) -> AsyncIterator[stt.SpeechEvent]:
        return self

    async def __anext__(self) -> stt.SpeechEvent:
        item = await self.out.get()
        if isinstance(item, Exception):
            raise item
        return item


class Ear:
    def __init__(self, endpoint: str, deadline: float = 0.05) -> None:
        self.endpoint, self.deadline = endpoint, deadline
        self.streams: list[EarStream] = []
        self.opened = asyncio.Event()
        self.settled: Callable[[], None] = lambda: None

    def listen(self, on_settled: Callable[[], None]) -> stt.RecognizeStream:
        self.settled = on_settled
        self.streams.append(EarStream())
        self.opened.set()
        return cast("stt.RecognizeStream", self.streams[-1])

    @property
    def line(self) -> EarStream:
        return self.streams[-1]


class Detector:
    """A voice activity detector that is told what to detect."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    def stream(self) -> Detector:
        return self

    def push_frame(self, _: rtc.AudioFrame) -> None:
        return

    def end_input(self) -> None:
        self.events.put_nowait(None)

    async def aclose(self) -> None:
        return

    def __aiter__(self) -> Detector:
        return self

    async def __anext__(self) -> Any:
        found = await self.events.get()
        if found is None:
            raise StopAsyncIteration
        return found


async def never(_: float) -> None:
    await asyncio.Event().wait()


class Fixture:
    def __init__(self, *, deadline: float = 0.05, sleep: Any = never) -> None:
        self.main, self.offline = Ear("main", deadline), Ear(OFFLINE, 5.0)
        self.detector = Detector()
        self.chain = ChainedSTT([self.main, self.offline], cast("vad.VAD", self.detector), Breaker(sleep=sleep))
        self.stream = self.chain.stream()
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.interims: list[str] = []
        self.paused: list[str] = []
        self.chain.watch_pauses(self.paused.append)
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for heard in self.stream:
            if heard.type is Kind.FINAL_TRANSCRIPT:
                self.heard.put_nowait(heard.alternatives[0].text)
            elif heard.type is Kind.INTERIM_TRANSCRIPT:
                self.interims.append(heard.alternatives[0].text)

    def audio(self, frames: int = 10) -> None:
        for _ in range(frames):
            self.stream.push_frame(FRAME)

    async def _detect(self, kind: vad.VADEventType) -> None:
        self.detector.events.put_nowait(SimpleNamespace(type=kind, silence_duration=0.0))
        while not self.detector.events.empty():
            await asyncio.sleep(0)
        await self.turn()

    async def turn(self) -> None:
        """Lets everything that is ready happen."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def begins(self) -> None:
        self.audio()
        await self.turn()
        await self._detect(vad.VADEventType.START_OF_SPEECH)
        self.audio()
        await self.turn()

    async def _step(self, silence: float, frames: int) -> None:
        """The detector has looked at so many frames of 20 ms and made nothing of them yet."""
        kind = vad.VADEventType.INFERENCE_DONE
        self.detector.events.put_nowait(
            SimpleNamespace(type=kind, raw_accumulated_silence=silence, frames=[FRAME] * frames)
        )
        await self.turn()

    async def pauses(self) -> None:
        await self._step(1.0, 50)

    async def goes_on(self, frames: int = 50) -> None:
        await self._step(0.0, frames)

    async def ends(self) -> None:
        await self._detect(vad.VADEventType.END_OF_SPEECH)

    async def next(self) -> str:
        async with asyncio.timeout(5):
            return await self.heard.get()

    def faults(self) -> list[tuple[str, str, str]]:
        return [(f.endpoint, f.fault, f.served_by) for f in self.chain.take_faults()]

    async def aclose(self) -> None:
        await self.stream.aclose()
        await self.reader
        await self.chain.aclose()


@pytest.fixture
async def one() -> AsyncIterator[Fixture]:
    made = Fixture()
    await made.turn()
    yield made
    await made.aclose()


async def test_transcripts_are_held_until_the_caller_pauses_and_shown_meanwhile(one: Fixture) -> None:
    one.main.deadline = 5.0
    await one.begins()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is"))
    one.main.line.out.put_nowait(event(Kind.INTERIM_TRANSCRIPT, "a velora"))
    await one.turn()
    assert one.heard.empty()
    assert one.interims == ["how much is", "how much is a velora"]
    await one.ends()
    assert one.main.line.flushed.is_set()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "a velora peel"))
    assert [await one.next(), await one.next()] == ["how much is", "a velora peel"]
    assert one.faults() == []
    assert one.offline.line.frames == 0


async def test_only_the_ear_in_use_is_believed(one: Fixture) -> None:
    """One that was given up for a word that came too late is not."""
    await one.begins()
    given_up = one.main.line
    given_up.out.put_nowait(ConnectionResetError())
    await one.turn()
    given_up.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "nobody asked me"))
    await one.ends()
    one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "heard"))
    assert await one.next() == "heard"
    assert one.heard.empty()


async def test_what_is_too_quiet_for_the_detector_is_passed_on(one: Fixture) -> None:
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "too quiet for the detector"))
    await one.turn()
    assert await one.next() == "too quiet for the detector"
    assert one.heard.empty()


async def test_a_stalled_ear_is_given_up_and_the_next_hears_the_whole_piece(one: Fixture) -> None:
    await one.begins()
    stalled = one.main.line
    stalled.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is"))
    await one.turn()
    await one.ends()
    async with asyncio.timeout(5):
        await one.offline.line.flushed.wait()
    assert one.offline.line.frames == stalled.frames
    stalled.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "too late"))
    one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is a velora peel"))
    assert await one.next() == "how much is a velora peel"
    assert one.faults() == [("main", "timeout", OFFLINE)]
    await one.turn()
    assert stalled.closed
    assert one.heard.empty()


async def test_an_ear_that_breaks_while_the_caller_speaks_is_replaced_at_once(one: Fixture) -> None:
    await one.begins()
    one.main.line.out.put_nowait(ConnectionResetError())
    await one.turn()
    assert one.offline.line.frames == one.main.line.frames > 0
    one.audio(5)
    await one.turn()
    assert one.offline.line.frames == one.main.line.frames + 5
    await one.ends()
    one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "all of it"))
    assert await one.next() == "all of it"
    assert one.faults() == [("main", "reset", OFFLINE)]


async def test_the_next_question_does_not_wait_for_a_resting_ear(one: Fixture) -> None:
    one.main.line.out.put_nowait(ConnectionRefusedError())
    await one.turn()
    for text in ("first", "second"):
        await one.begins()
        await one.ends()
        one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, text))
        assert await one.next() == text
    assert len(one.main.streams) == 1
    assert one.faults() == [("main", "refused", OFFLINE)]


async def test_an_answer_without_words_is_no_fault(one: Fixture) -> None:
    await one.begins()
    await one.ends()
    one.main.settled()
    await asyncio.sleep(0.1)  # past the deadline: nothing is awaited any more
    assert one.faults() == []
    assert one.offline.line.frames == 0


async def test_a_caller_who_goes_on_in_time_keeps_the_ear_waiting_for_all(one: Fixture) -> None:
    one.main.deadline = 5.0
    await one.begins()
    await one.ends()
    await one.begins()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is"))
    await one.turn()
    assert one.heard.empty()
    await one.ends()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "a peel"))
    assert [await one.next(), await one.next()] == ["how much is", "a peel"]


async def test_when_no_ear_is_left_the_conversation_goes_on(one: Fixture) -> None:
    await one.begins()
    one.main.line.out.put_nowait(ConnectionResetError())
    await one.turn()
    one.offline.line.out.put_nowait(RuntimeError("no models"))
    await one.turn()
    await one.ends()
    assert one.faults() == [("main", "reset", ""), (OFFLINE, "bad_answer", "")]
    opened = len(one.offline.streams)
    await one.begins()
    assert len(one.offline.streams) == opened + 1
    await one.ends()
    one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "back again"))
    assert await one.next() == "back again"


async def test_an_ear_that_is_well_again_is_used_from_the_next_piece_on() -> None:
    """It is asked in the background, with the very audio that it failed on."""
    wake = asyncio.Event()

    async def sleep(_: float) -> None:
        await wake.wait()

    one = Fixture(sleep=sleep)
    await one.turn()
    await one.begins()
    one.main.line.out.put_nowait(ConnectionResetError())
    await one.turn()
    one.main.opened.clear()
    wake.set()
    async with asyncio.timeout(5):
        await one.main.opened.wait()
    await one.turn()
    assert one.main.line.frames > 0
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "words"))
    await one.turn()
    await one.ends()
    one.offline.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "first"))
    assert await one.next() == "first"
    await one.begins()
    await one.ends()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "second"))
    assert await one.next() == "second"
    await one.aclose()


async def test_a_pause_asks_for_the_words_and_tells_them_and_tells_again_when_they_change(one: Fixture) -> None:
    one.main.deadline = 5.0
    await one.begins()
    await one.goes_on()
    one.main.line.out.put_nowait(event(Kind.INTERIM_TRANSCRIPT, "how much is a"))
    await one.turn()
    assert one.paused == []
    await one.pauses()
    assert one.main.line.flushed.is_set()
    one.main.settled()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is a peel"))
    await one.turn()
    assert one.paused == ["how much is a", "how much is a peel"]
    assert one.heard.empty()
    await one.ends()  # everything was heard: nothing is waited for
    assert await one.next() == "how much is a peel"
    assert one.offline.streams == []  # it gets ready when an answer is late


async def test_the_tail_of_a_word_after_a_pause_needs_no_other_transcript(one: Fixture) -> None:
    """The provider has nothing more to say about it, and would be taken for stalled."""
    await one.begins()
    await one.goes_on()
    await one.pauses()
    one.main.settled()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is a peel"))
    await one.turn()
    await one.goes_on(frames=1)
    await one.ends()
    assert await one.next() == "how much is a peel"
    assert one.faults() == []


async def test_the_answer_to_a_pause_after_which_the_caller_went_on_is_not_the_whole(one: Fixture) -> None:
    one.main.deadline = 5.0
    await one.begins()
    await one.goes_on()
    await one.pauses()
    await one.goes_on()
    await one.ends()
    one.main.settled()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "how much is"))
    await one.turn()
    assert one.heard.empty()
    one.main.line.out.put_nowait(event(Kind.FINAL_TRANSCRIPT, "a velora peel"))
    assert [await one.next(), await one.next()] == ["how much is", "a velora peel"]


async def test_the_offline_ear_which_hears_whole_pieces_better_is_not_asked_in_pauses(one: Fixture) -> None:
    await one.begins()
    one.main.line.out.put_nowait(ConnectionResetError())
    await one.goes_on()
    await one.pauses()
    assert not one.offline.line.flushed.is_set()
    await one.ends()
    assert one.offline.line.flushed.is_set()
