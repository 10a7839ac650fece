"""The ear as a chain of providers, each with a deadline; the offline ear is the last.

A detector of our own says when the caller speaks. The audio of what they are saying is kept, so that a link that stalls,
breaks or is refused can be replaced in the middle: the next link gets the whole piece. Nothing that a provider does reaches
the session as an error: three of those would close it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, LanguageCode, stt, utils, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr
from switchboard.contracts.providers import OFFLINE, FaultKind, ProviderFault

from voice_agent.chains.breaker import Breaker
from voice_agent.chains.faults import note
from voice_agent.chains.hearing import Hearing
from voice_agent.chains.line import EarLink, Line

RATE = 16_000
MAX_KEPT_SECONDS = 60.0
BEFORE_SECONDS = 1.0
"""Audio kept from before the detector noticed that somebody speaks."""

END_SILENCE = 0.45
"""Seconds of silence that end a piece of speech; synthetic voices pause up to 0.41 s within one."""

PAUSE_SECONDS = 0.06
"""Of silence after which the words so far are asked for: the turn may be over, and whoever answers can begin to think. The
detector tells it one step, 32 ms, later."""

BLIP_SECONDS = 0.2
"""Voiced sound after a pause that may still be the tail of what was said before it."""

PROBE_DEADLINES = 2.0
IDLE_PROBE_SECONDS = 1.0


class ChainedSTT(stt.STT[str]):
    """A chain as the session's ear. ``links`` in order of preference, the offline one last."""

    def __init__(self, links: Sequence[EarLink], detector: vad.VAD, breaker: Breaker | None = None) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=True))
        self.links = tuple(links)
        self.detector = detector
        self.breaker = breaker or Breaker()
        self.on_pause: Callable[[str], None] = _nobody_listens
        self._faults: list[ProviderFault] = []

    @property
    def model(self) -> str:
        """Name in metrics."""
        return "chain"

    @property
    def provider(self) -> str:
        """Name in metrics."""
        return "switchboard"

    def watch_pauses(self, on_pause: Callable[[str], None]) -> None:
        """``on_pause`` gets all words so far of a piece of speech when the caller pauses, and again when they change."""
        self.on_pause = on_pause

    def take_faults(self) -> tuple[ProviderFault, ...]:
        """The faults since the last time."""
        taken, self._faults = tuple(self._faults), []
        return taken

    def noted(self, faults: Sequence[ProviderFault]) -> None:
        self._faults += faults

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """A stream for continuous audio, as an AgentSession pushes it."""
        return _Stream(self, conn_options)

    async def _recognize_impl(
        self, buffer: utils.AudioBuffer, *, language: NotGivenOr[str] = NOT_GIVEN, conn_options: APIConnectOptions
    ) -> stt.SpeechEvent:
        """One whole recording, through the same chain."""
        async with self.stream(conn_options=conn_options) as stream:
            for frame in buffer if isinstance(buffer, list) else [buffer]:
                stream.push_frame(frame)
            stream.end_input()
            async for event in stream:
                if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                    return event
        return stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT)

    async def aclose(self) -> None:
        """Stop asking resting links whether they are back."""
        await self.breaker.aclose()


def _nobody_listens(_words: str) -> None:
    return


class _Stream(stt.RecognizeStream):
    def __init__(self, chain: ChainedSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=chain, conn_options=conn_options, sample_rate=RATE)
        self._chain = chain
        self._hearing: Hearing[stt.SpeechEvent] = Hearing()
        self._before: deque[rtc.AudioFrame] = deque()
        self._kept: deque[rtc.AudioFrame] = deque()
        self._lines: dict[str, Line] = {}
        self._line: Line | None = None
        self._failures: list[tuple[str, FaultKind]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._understanding = asyncio.Event()
        self._interim = ""
        self._paused = False
        self._voiced = 0.0
        self._over = False

    # -- audio in -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        detector = self._chain.detector.stream()
        forward = asyncio.create_task(self._forward(detector), name="ear audio")
        try:
            self._line = self._best_line()
            async for event in detector:
                self._on_vad(event)
            await forward
            await self._last_words()
        finally:
            self._over = True
            self._stop_timer()
            await utils.aio.cancel_and_wait(forward, *self._closing)
            await detector.aclose()
            for line in self._lines.values():
                await line.aclose()

    async def _forward(self, detector: vad.VADStream) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._keep(item)
                detector.push_frame(item)
                if self._line is not None:
                    self._line.push(item)
        detector.end_input()

    def _keep(self, frame: rtc.AudioFrame) -> None:
        kept, longest = (self._kept, MAX_KEPT_SECONDS) if self._hearing.open else (self._before, BEFORE_SECONDS)
        kept.append(frame)
        while len(kept) * frame.duration > longest:
            kept.popleft()

    def _on_vad(self, event: vad.VADEvent) -> None:
        if event.type == vad.VADEventType.INFERENCE_DONE:
            self._watch_for_pause(event)
        elif event.type == vad.VADEventType.START_OF_SPEECH:
            if not self._hearing.open:
                self._kept = deque(self._before)
                self._before.clear()
                self._interim, self._voiced = "", 0.0
                if self._line is not None:
                    self._line.begin_piece()
            self._paused = False
            self._hearing.began()
            self._understanding.clear()
            self._stop_timer()
            self._return_to_a_better_link()
        elif event.type == vad.VADEventType.END_OF_SPEECH and self._line is not None:
            spoke_until = asyncio.get_running_loop().time() - event.silence_duration
            self._line.flush()
            whole = self._line.answered_early and self._voiced < BLIP_SECONDS
            if self._hearing.ended(spoke_until, self._line.link.deadline, whole=whole):
                self._understood()
            else:
                self._open_offline()
                self._start_timer()

    def _watch_for_pause(self, event: vad.VADEvent) -> None:
        if not self._hearing.open or self._hearing.waiting or self._line is None:
            return
        silence = event.raw_accumulated_silence
        if silence == 0.0:
            self._voiced += sum(frame.duration for frame in event.frames)
            if self._paused:
                self._paused = False
                self._line.went_on()
        elif silence >= PAUSE_SECONDS and not self._paused:
            self._paused = True
            if self._voiced >= BLIP_SECONDS or not self._line.answered_early:
                self._voiced = 0.0
                self._line.flush_early()
            self._tell_pause()

    def _tell_pause(self) -> None:
        if self._paused and (words := self._words()):
            self._chain.on_pause(words)

    async def _last_words(self) -> None:
        """The input has ended: the transcript of what was said last may still come, or its link be given up."""
        if self._hearing.waiting:
            await self._understanding.wait()

    # -- transcripts out ----------------------------------------------------------------------------------------------

    def on_event(self, line: Line, event: stt.SpeechEvent) -> None:
        """What a link heard; nothing of a link that was given up."""
        if line is not self._line:
            return
        if event.type is stt.SpeechEventType.END_OF_SPEECH:
            self.on_settled(line)
        if not event.alternatives:
            return
        if event.type is stt.SpeechEventType.INTERIM_TRANSCRIPT and event.alternatives[0].text:
            self._hearing.interim()
            self._interim = event.alternatives[0].text
            self._show()
        elif event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
            if not self._hearing.open:  # too quiet for our detector
                self._event_ch.send_nowait(event)
                return
            self._interim = ""
            partial = line.takes_partial()
            if self._hearing.final(event, asyncio.get_running_loop().time()) and not partial:
                self._understood()
            else:
                self._show()

    def on_settled(self, line: Line) -> None:
        """Nothing more will come of what was said so far."""
        if line is self._line and self._hearing.settled():
            self._understood()

    def _words(self) -> str:
        """The words so far, those held back included."""
        words = [event.alternatives[0].text for event in self._hearing.finals if event.alternatives]
        return " ".join(part for part in [*words, self._interim] if part)

    def _show(self) -> None:
        """Retrieval may begin on the words so far."""
        text = self._words()
        if text:
            data = stt.SpeechData(language=LanguageCode("en"), text=text, confidence=0.5)
            self._event_ch.send_nowait(
                stt.SpeechEvent(type=stt.SpeechEventType.INTERIM_TRANSCRIPT, alternatives=[data])
            )
            self._tell_pause()

    def _understood(self) -> None:
        self._stop_timer()
        self._understanding.set()
        self._paused = False
        finals = self._hearing.close()
        heard = any(event.alternatives and event.alternatives[0].text.strip() for event in finals)
        served_by = self._line.link.endpoint if heard and self._line is not None else ""
        self._chain.noted([note("stt", endpoint, kind, served_by) for endpoint, kind in self._failures])
        self._failures = []
        for event in finals:
            self._event_ch.send_nowait(event)

    # -- links --------------------------------------------------------------------------------------------------------

    def _best_line(self) -> Line:
        return self._open(self._chain.breaker.usable(self._chain.links)[0])

    def _open_offline(self) -> None:
        """When an answer is late: its models take a second to load, about what is left of a deadline. Calls whose answers
        are in time, nearly all, pay for no process of it."""
        for link in self._chain.links:
            if link.endpoint == OFFLINE:
                self._open(link)

    def _open(self, link: EarLink) -> Line:
        line = self._lines.get(link.endpoint)
        if line is None:
            line = self._lines[link.endpoint] = Line(link, self)
        return line

    def _return_to_a_better_link(self) -> None:
        """At the beginning of a piece of speech only, and with all of it."""
        best = self._best_line()
        if best is not self._line:
            left, self._line = self._line, best
            if left is not None and left.link.endpoint != OFFLINE:
                self._drop(left)
            self._give_kept()

    def _give_kept(self) -> None:
        assert self._line is not None
        for frame in self._kept:
            self._line.push(frame)

    def on_failed(self, line: Line, kind: FaultKind) -> None:
        """A link broke; the next one gets what the caller is saying, or has said."""
        if self._over or self._lines.get(line.link.endpoint) is not line:
            return
        self._drop(line)
        if line is not self._line:
            return  # the offline ear, idle; it is opened again when it is wanted
        self._failures.append((line.link.endpoint, kind))
        if line.link.endpoint == OFFLINE:
            # Nobody is left to ask. It is opened again when the caller speaks again, not at once: it may fail at once.
            self._line = None
            self._understood()
            return
        self._chain.breaker.rest(line.link.endpoint, self._probe_of(line.link))
        self._line = self._best_line()
        if not self._hearing.open:
            return
        self._give_kept()
        self._hearing.restart(asyncio.get_running_loop().time(), self._line.link.deadline)
        if self._hearing.waiting:
            self._line.flush()
            self._start_timer()

    def _drop(self, line: Line) -> None:
        """Close in the background: a stuck connection may take its time."""
        self._lines.pop(line.link.endpoint, None)
        closing = asyncio.create_task(line.aclose(), name="close an ear")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def _start_timer(self) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        if self._hearing.due is not None:
            self._timer = loop.call_at(max(self._hearing.due, loop.time()), self._on_due)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_due(self) -> None:
        self._timer = None
        if not self._hearing.waiting or self._line is None:
            return
        if self._line.link.endpoint == OFFLINE:
            self._understood()
        else:
            self.on_failed(self._line, "timeout")

    def _probe_of(self, link: EarLink) -> Callable[[], Any]:
        frames = list(self._kept)

        async def probe() -> bool:
            return await _hears(link, frames)

        return probe


async def _hears(link: EarLink, frames: list[rtc.AudioFrame]) -> bool:
    """Whether ``link`` understands what it failed to; without audio, whether it stays connected."""
    settled = asyncio.Event()
    stream = link.listen(settled.set)

    async def first_final() -> bool:
        async for event in stream:
            if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                return True
        return False

    reader = asyncio.create_task(first_final(), name="ear probe")
    try:
        for frame in frames:
            stream.push_frame(frame)
        stream.flush()
        answered = asyncio.create_task(settled.wait())
        seconds = PROBE_DEADLINES * link.deadline if frames else IDLE_PROBE_SECONDS
        done, _ = await asyncio.wait({reader, answered}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        if reader in done:
            return reader.exception() is None and reader.result()
        return bool(done) or not frames
    finally:
        await utils.aio.cancel_and_wait(reader)
        await stream.aclose()
