"""The voice as a chain of providers, each with a deadline; the offline voice is the last.

The chain speaks sentence by sentence. A sentence that has made no sound is spoken by the next link; one that stopped in
the middle is not begun again: the next sentences follow in the next link's voice, and a stored apology with a question at
the end. Nothing that a provider does reaches the session as an error: three of those would close it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from livekit import rtc
from livekit.agents import APIConnectOptions, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from switchboard.contracts.providers import OFFLINE, FaultKind

from voice_agent.chains.breaker import Breaker
from voice_agent.chains.faults import LinkFailed, fault_of, note
from voice_agent.chains.prepared import Shelf
from voice_agent.conversation import phrases
from voice_agent.drivers.speech_account import BrokenSentence, SpeechAccount, speech_account
from voice_agent.llm.control import Sentences
from voice_agent.offline.spoken import spoken

RATE = 24_000
"""Samples a second of what the chain gives; links of other rates are resampled."""

BEGUN_SECONDS = 0.3
"""Less than this of a sentence is a syllable: the sentence can still be spoken by another voice."""

CHARACTERS_A_SECOND = 14.0
"""How fast voices speak, to know how far one came."""

FASTEST_CHARACTERS_A_SECOND = 26.0
"""Nobody speaks faster: audio that would have to was cut off."""

LONG_ENOUGH_TO_TELL = 20
"""Characters of a sentence from which on its length tells whether it is whole."""


class VoiceLink(Protocol):
    """One voice. ``deadline``: seconds to the first audio, and for more of it once what came is spoken."""

    @property
    def endpoint(self) -> str: ...

    @property
    def deadline(self) -> float: ...

    def speak(self, text: str) -> AsyncGenerator[rtc.AudioFrame, None]:
        """Mono audio of ``text`` as it is made, at one rate; raises whatever its client raises."""

    def renew(self) -> None:
        """Drop connections that may be stuck."""

    async def probe(self) -> bool:
        """Whether it makes any sound."""


class ChainedTTS(tts.TTS[str]):
    """A chain as the session's voice. ``links`` in order of preference, the offline one last."""

    def __init__(self, links: Sequence[VoiceLink], breaker: Breaker | None = None) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=True), sample_rate=RATE, num_channels=1)
        self.links = tuple(links)
        self.breaker = breaker or Breaker()
        self.shelf = Shelf()

    def speak_ahead(self, text: str) -> None:
        """Begin to speak the first sentence of ``text``, which will probably be said: its sound is there when it is.

        One at a time, in the voice that would be asked first now. A sentence that is not said costs its synthesis.
        """
        sentence = first_sentence(text)
        link = self.breaker.usable(self.links)[0]
        if sentence and link.endpoint != OFFLINE:
            self.shelf.speak_ahead(link.endpoint, sentence, lambda: link.speak(spoken(sentence)))

    @property
    def model(self) -> str:
        """Name in metrics."""
        return "chain"

    @property
    def provider(self) -> str:
        """Name in metrics."""
        return "switchboard"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """One whole text."""
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS) -> tts.SynthesizeStream:
        """Tokens in, audio out, a sentence at a time."""
        return _Stream(self, speech_account.get() or SpeechAccount(), conn_options)

    async def aclose(self) -> None:
        """Stop asking resting links whether they are back, and speaking what nobody will hear."""
        self.shelf.clear()
        await self.breaker.aclose()


def first_sentence(text: str) -> str:
    """As the chain itself cuts it."""
    splitter = Sentences()
    return next(iter(splitter.push(text)), "") or splitter.rest()


class _Stream(tts.SynthesizeStream):
    def __init__(self, chain: ChainedTTS, account: SpeechAccount, conn_options: APIConnectOptions) -> None:
        super().__init__(tts=chain, conn_options=conn_options)
        self._chain = chain
        self._account = account

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=RATE,
            num_channels=1,
            mime_type="audio/pcm",
            frame_size_ms=50,
            stream=True,
        )
        output_emitter.start_segment(segment_id=utils.shortuuid())
        chain = self._chain
        speaker = Speaker(chain.links, chain.breaker, self._account, output_emitter.push, chain.shelf)
        splitter = Sentences()
        async for token in self._input_ch:
            for sentence in splitter.push(token) if isinstance(token, str) else ():
                self._mark_started()
                await speaker.say(sentence)
        if rest := splitter.rest():
            self._mark_started()
            await speaker.say(rest)
        await speaker.finish()
        # Text without a sound would be reported, with the text, as a failure.
        output_emitter.push(bytes(RATE // 50 * 2))
        output_emitter.end_segment()


class Speaker:
    """Speaks the sentences of one utterance; ``push`` gets 16-bit mono samples at ``RATE``."""

    def __init__(
        self,
        links: Sequence[VoiceLink],
        breaker: Breaker,
        account: SpeechAccount,
        push: Callable[[bytes], None],
        shelf: Shelf | None = None,
    ) -> None:
        self._links = tuple(links)
        self._breaker = breaker
        self._account = account
        self._push = push
        self._shelf = shelf or Shelf()
        self._failures: list[tuple[str, FaultKind]] = []
        self._given_up: set[str] = set()
        self._played_until = 0.0
        self._pushed = 0.0

    async def say(self, sentence: str) -> bool:
        """Whether the whole sentence was spoken."""
        for link in self._breaker.usable(self._links):
            if link.endpoint in self._given_up:
                continue  # back already, but one utterance is no place to try it again
            before = self._pushed
            try:
                await self._voice(link, sentence)
            except LinkFailed as failure:
                self._failed(link, failure.kind)
                seconds = self._pushed - before
                if seconds >= BEGUN_SECONDS:
                    self._account.broken.append(BrokenSentence(sentence, _beginning(sentence, seconds)))
                    return False
                continue
            self._settle(link.endpoint)
            return True
        self._account.broken.append(BrokenSentence(sentence, ""))
        return False

    async def finish(self) -> None:
        """The apology for what was cut off, if anything was."""
        if self._account.broken and await self.say(phrases.VOICE_BROKE):
            self._account.added = phrases.VOICE_BROKE
        self._settle("")

    def _failed(self, link: VoiceLink, kind: FaultKind) -> None:
        self._failures.append((link.endpoint, kind))
        self._given_up.add(link.endpoint)
        link.renew()
        if link.endpoint != OFFLINE:
            self._breaker.rest(link.endpoint, link.probe)

    def _settle(self, served_by: str) -> None:
        self._account.faults += [note("tts", endpoint, kind, served_by) for endpoint, kind in self._failures]
        self._failures = []

    async def _voice(self, link: VoiceLink, sentence: str) -> None:
        """Pushes the sentence's audio; raises ``LinkFailed``."""
        before = self._pushed
        resampler: rtc.AudioResampler | None = None
        ready = self._shelf.take(link.endpoint, sentence)
        async with aclosing(ready.frames() if ready else link.speak(spoken(sentence))) as frames:
            while (frame := await self._next(link, frames, begun=self._pushed > before)) is not None:
                if resampler is None and frame.sample_rate != RATE:
                    resampler = rtc.AudioResampler(frame.sample_rate, RATE, quality=rtc.AudioResamplerQuality.MEDIUM)
                for piece in [frame] if resampler is None else resampler.push(frame):
                    self._emit(piece)
        for piece in [] if resampler is None else resampler.flush():
            self._emit(piece)
        seconds = self._pushed - before
        if link.endpoint == OFFLINE:
            return
        if seconds == 0.0:
            raise LinkFailed("bad_answer")
        if len(sentence) >= LONG_ENOUGH_TO_TELL and len(sentence) > seconds * FASTEST_CHARACTERS_A_SECOND:
            raise LinkFailed("cut_off")

    async def _next(
        self, link: VoiceLink, frames: AsyncGenerator[rtc.AudioFrame, None], *, begun: bool
    ) -> rtc.AudioFrame | None:
        unplayed = max(0.0, self._played_until - asyncio.get_running_loop().time()) if begun else 0.0
        try:
            return await asyncio.wait_for(anext(frames), link.deadline + unplayed)
        except StopAsyncIteration:
            return None
        except Exception as error:  # whatever a client raises, the next link gets the work
            raise LinkFailed(fault_of(error)) from error

    def _emit(self, frame: rtc.AudioFrame) -> None:
        now = asyncio.get_running_loop().time()
        self._played_until = max(now, self._played_until) + frame.duration
        self._pushed += frame.duration
        self._push(bytes(frame.data))


def _beginning(sentence: str, seconds: float) -> str:
    """The words of ``sentence`` that fit into ``seconds``, as fast as voices speak."""
    fits = sentence[: int(seconds * CHARACTERS_A_SECOND)]
    return fits if fits == sentence else fits.rpartition(" ")[0]
