"""The ear as a livekit STT: speech is found by the bundled VAD, decoded while it lasts, final when it ends.

    ears = OfflineSTT(model=speech_model, on_heard=remember)
    await ears.warm()                                   # child process up before the first word
    AgentSession(stt=ears, turn_detection="stt" or "vad", ...)

Events: START_OF_SPEECH, INTERIM_TRANSCRIPT, FINAL_TRANSCRIPT (all n-best readings as alternatives; the first carries
``metadata["hypotheses"]``, the JSON of ``Hypotheses``), END_OF_SPEECH. Speech that was not understood gives a final
with an empty text, which ``AgentSession`` ignores: ``on_heard`` is called with every result, empty ones too, so that
the agent can ask again. An ear that failed twice is reported as a recoverable ``error`` event and heard as nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, LanguageCode, inference, stt, utils, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, NotGivenOr

from voice_agent.offline.ear import Ear, EarFailure
from voice_agent.offline.hypotheses import Hypotheses
from voice_agent.offline.language_model import SpeechModel
from voice_agent.offline.sound import EAR_RATE

_ENGLISH = LanguageCode("en")
_INTERIM_EVERY = 0.25  # seconds of audio
_VAD_WINDOW = 0.032  # seconds; the detector's step
_ONSET_WINDOWS = 10  # of audio kept while nobody seems to speak after a flush: the beginning of what follows


class OfflineSTT(stt.STT[str]):
    """The offline ear with a tenant's language model.

    `end_silence`: seconds without speech that end an utterance; espeak-ng pauses up to 0.41 s within one.
    `model` may be a task that is still building it: the call is answered meanwhile, and what is said then is kept.
    `on_heard`: gets every result. `manual_flush`: an AgentSession may end the utterance itself.
    """

    def __init__(
        self,
        *,
        model: SpeechModel | asyncio.Task[SpeechModel],
        end_silence: float = 0.5,
        on_heard: Callable[[Hypotheses], None] | None = None,
        manual_flush: bool = False,
        detector: vad.VAD | None = None,
    ) -> None:
        super().__init__(
            capabilities=stt.STTCapabilities(streaming=True, interim_results=True, manual_flush=manual_flush)
        )
        self._speech_model = model
        self._on_heard = on_heard
        self._vad = detector or inference.VAD(
            min_speech_duration=0.05, min_silence_duration=end_silence, prefix_padding_duration=0.4
        )
        self._spare: Ear | None = None

    @property
    def model(self) -> str:
        """Name in metrics."""
        return "offline-ear"

    @property
    def provider(self) -> str:
        """Name in metrics."""
        return "offline"

    async def warm(self) -> None:
        """Starts an ear for the next stream. Raises EarFailure when the models can't be loaded."""
        if self._spare is None:
            self._spare = await self._new_ear()

    async def _new_ear(self) -> Ear:
        ear = Ear()
        model = self._speech_model
        await ear.load(await model if isinstance(model, asyncio.Task) else model)
        return ear

    async def _take_ear(self) -> Ear:
        ear, self._spare = self._spare, None
        return ear or await self._new_ear()

    def _heard(self, heard: Hypotheses) -> None:
        if self._on_heard is not None:
            self._on_heard(heard)

    def stream(
        self,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.RecognizeStream:
        """A stream for continuous audio, as an AgentSession pushes it. `language` is always English."""
        return _Stream(owner=self, conn_options=conn_options)

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        whole = rtc.combine_audio_frames(buffer) if isinstance(buffer, list) else buffer
        try:
            ear = await self._take_ear()
            try:
                await ear.start()
                await ear.feed(bytes(whole.data), rate=whole.sample_rate)
                heard = await ear.finish()
            finally:
                self._spare = ear
        except EarFailure as error:
            raise APIConnectionError(str(error)) from error
        self._heard(heard)
        return _final(heard, 0.0, heard.duration)

    async def aclose(self) -> None:
        """Ends the spare ear; streams end their own."""
        if self._spare is not None:
            await self._spare.aclose()
            self._spare = None


def _data(text: str, confidence: float, start: float, end: float, heard: Hypotheses | None = None) -> stt.SpeechData:
    return stt.SpeechData(
        language=_ENGLISH,
        text=text,
        start_time=start,
        end_time=end,
        confidence=confidence,
        metadata={"hypotheses": heard.to_json()} if heard else None,
    )


def _final(heard: Hypotheses, start: float, end: float) -> stt.SpeechEvent:
    found = [
        _data(one.text, one.confidence, start, end, None if at else heard) for at, one in enumerate(heard.alternatives)
    ]
    return stt.SpeechEvent(
        type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=found or [_data("", 0.0, start, end, heard)]
    )


class _Stream(stt.RecognizeStream):
    def __init__(self, *, owner: OfflineSTT, conn_options: APIConnectOptions) -> None:
        super().__init__(stt=owner, conn_options=conn_options, sample_rate=EAR_RATE)
        self._owner = owner
        self._began = 0.0
        self._since_interim = 0.0
        self._interim = ""
        self._speaking = False
        self._pushed = 0.0
        self._flushes: deque[float] = deque()
        self._flushed = False
        self._quiet: deque[list[rtc.AudioFrame]] = deque(maxlen=_ONSET_WINDOWS)

    async def _run(self) -> None:
        try:
            ear = await self._owner._take_ear()
        except EarFailure as error:
            raise APIConnectionError(str(error)) from error
        detector = self._owner._vad.stream()
        forward = asyncio.create_task(self._forward(detector), name="offline-stt-forward")
        try:
            async for event in detector:
                await self._on_vad(ear, event)
            if self._speaking:
                await self._end(ear, self._began)
            await forward
        finally:
            await utils.aio.cancel_and_wait(forward)
            await detector.aclose()
            await ear.aclose()

    async def _forward(self, detector: vad.VADStream) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._pushed += item.duration
                detector.push_frame(item)
            else:  # the detector may be far behind: a flush holds for what was said before it
                self._flushes.append(self._pushed)
        detector.end_input()

    async def _on_vad(self, ear: Ear, event: vad.VADEvent) -> None:
        flushed = event.type == vad.VADEventType.INFERENCE_DONE and self._reached_flush(event.timestamp)
        if event.type == vad.VADEventType.START_OF_SPEECH:
            await self._begin(ear, max(0.0, event.timestamp - event.speech_duration), event.frames)
        elif event.type == vad.VADEventType.INFERENCE_DONE and self._speaking:
            await self._guarded(ear, frames=event.frames)
            self._since_interim += sum(frame.duration for frame in event.frames)
            if flushed:
                self._flushed = True
                self._quiet.clear()
                await self._end(ear, event.timestamp)
            elif self._since_interim >= _INTERIM_EVERY:
                self._since_interim = 0.0
                await self._send_interim(ear, event.timestamp)
        elif event.type == vad.VADEventType.INFERENCE_DONE and self._flushed:
            # A flush ended what was said, not the detector's stretch of speech: it won't say that somebody begins.
            self._quiet.append(list(event.frames))
            if event.raw_accumulated_speech > 0.0:
                frames = [frame for window in self._quiet for frame in window]
                await self._begin(ear, max(0.0, event.timestamp - len(self._quiet) * _VAD_WINDOW), frames)
        elif event.type == vad.VADEventType.END_OF_SPEECH:
            self._flushed = False
            if self._speaking:
                await self._end(ear, event.timestamp - event.silence_duration)

    async def _begin(self, ear: Ear, began: float, frames: list[rtc.AudioFrame]) -> None:
        self._began, self._flushed = began, False
        self._speaking, self._interim, self._since_interim = True, "", 0.0
        self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.START_OF_SPEECH))
        await self._guarded(ear, start=True)
        await self._guarded(ear, frames=frames)

    def _reached_flush(self, now: float) -> bool:
        reached = False
        while self._flushes and now > self._flushes[0] - _VAD_WINDOW:
            self._flushes.popleft()
            reached = True
        return reached

    async def _guarded(self, ear: Ear, *, start: bool = False, frames: list[rtc.AudioFrame] | None = None) -> None:
        try:
            if start:
                await ear.start()
            for frame in frames or ():
                await ear.feed(np.frombuffer(frame.data, np.int16))
        except EarFailure as error:
            self._report(error)

    def _report(self, error: EarFailure) -> None:
        self._emit_error(APIConnectionError(str(error)), recoverable=True)

    async def _send_interim(self, ear: Ear, now: float) -> None:
        try:
            text = await ear.interim()
        except EarFailure as error:
            self._report(error)
            return
        if text and text != self._interim:
            self._interim = text
            self._event_ch.send_nowait(
                stt.SpeechEvent(
                    type=stt.SpeechEventType.INTERIM_TRANSCRIPT, alternatives=[_data(text, 0.5, self._began, now)]
                )
            )

    async def _end(self, ear: Ear, ended: float) -> None:
        self._speaking = False
        heard = Hypotheses()
        try:
            heard = await ear.finish()
        except EarFailure as error:
            self._report(error)
        offset = self.start_time_offset
        self._owner._heard(heard)
        self._event_ch.send_nowait(_final(heard, offset + self._began, offset + ended))
        self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.END_OF_SPEECH))
        self._event_ch.send_nowait(
            stt.SpeechEvent(
                type=stt.SpeechEventType.RECOGNITION_USAGE,
                recognition_usage=stt.RecognitionUsage(audio_duration=heard.duration),
            )
        )
