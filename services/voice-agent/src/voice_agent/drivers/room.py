"""The conversation in a LiveKit room: livekit-agents' session for ears, voice and turn taking, the core for everything else.

The session never answers by itself (it has no LLM): it tells what the caller said and speaks what the core says. What the
caller really heard of an interrupted sentence comes from the session's transcript that is synchronised with playback.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import structlog
from livekit import rtc
from livekit.agents import (
    Agent,
    AgentSession,
    AgentStateChangedEvent,
    CloseEvent,
    ModelSettings,
    UserStateChangedEvent,
    stt,
    tts,
)
from livekit.agents import llm as lk_llm
from livekit.agents import vad as lk_vad
from livekit.agents.voice import SpeechHandle, room_io
from livekit.agents.voice.events import UserTranscriptionTimeoutEvent
from livekit.agents.voice.turn import TurnHandlingOptions
from switchboard.clock import Clock
from switchboard.contracts.calls import EndReason, TurnTimings
from switchboard.contracts.providers import ProviderFault

from voice_agent.conversation.models import (
    CallerLeft,
    CallerSilent,
    CallerSpoke,
    Event,
    Say,
    SayMore,
    SpeechEnded,
)
from voice_agent.drivers.leg import Leg
from voice_agent.drivers.pieces import Words, detail_of, heard_of, time_of
from voice_agent.drivers.speech_account import SpeechAccount, speech_account

_log = structlog.get_logger(__name__)

SILENCE_SECONDS = 12.0
"""After this long with nobody speaking the caller is asked whether they are still there."""

TAIL_SECONDS = 0.4
"""Audio that has been played out here is still on its way to the phone (Opus, jitter buffers, 20 ms clocks)."""

LAST_HEARD_SECONDS = 1.0
"""How long a caller's leaving waits to learn how much of our sentence they had heard."""

EAR_RATE = 16_000

TURN_HANDLING = TurnHandlingOptions(
    # Named on purpose: left out, it would be a model that another service hosts in some modes.
    turn_detection="vad",
    # espeak-like voices pause up to 410 ms inside a sentence; people pause as long.
    endpointing={"mode": "fixed", "min_delay": 0.5, "max_delay": 3.0},
    interruption={
        "enabled": True,
        "mode": "vad",
        "min_duration": 0.15,
        "min_words": 0,
        # A cough pauses us; when no words follow, we go on where we stopped.
        "resume_false_interruption": True,
        "false_interruption_timeout": 1.5,
    },
    # The core decides once per turn; speculation is the look-ahead's.
    preemptive_generation={"enabled": False},
)


@dataclass(frozen=True, slots=True)
class Providers:
    """Ears and voice of one call.

    ``ear_faults`` gives the faults of the ear since it was asked last; ``no_words_after`` is how many seconds after speech
    its words are waited for; ``speak_ahead`` begins to speak what will probably be said next, where the voice can do so;
    ``watch_pauses`` takes who is told of the caller's pauses; ``close`` is awaited when the session is closed.
    """

    stt: stt.STT[Any]
    tts: tts.TTS[Any]
    vad: lk_vad.VAD
    ear_faults: Callable[[], tuple[ProviderFault, ...]] = tuple
    no_words_after: float = 1.5
    speak_ahead: Callable[[str], None] | None = None
    watch_pauses: Callable[[Callable[[str], None]], None] | None = None
    close: Callable[[], Awaitable[None]] | None = None


@dataclass(slots=True)
class _Speaking:
    """The utterance being spoken and when its first audio went out. ``words``: where more of it goes."""

    utterance: int
    handle: SpeechHandle
    words: Words | None = None
    account: SpeechAccount = field(default_factory=SpeechAccount)
    first_audio: datetime | None = None


class _Receptionist(Agent):
    """The session's agent: passes everything on to the driver."""

    def __init__(self, driver: RoomDriver) -> None:
        super().__init__(instructions="")
        self._driver = driver

    async def stt_node(
        self, audio: AsyncIterable[rtc.AudioFrame], model_settings: ModelSettings
    ) -> AsyncGenerator[stt.SpeechEvent | str, None]:
        async for event in Agent.default.stt_node(self, self._driver.heard_by_leg(audio), model_settings):
            if isinstance(event, stt.SpeechEvent):
                try:
                    self._driver.on_recognised(event)
                except Exception:  # what listens to the words must not make us deaf
                    _log.exception("recognised words were not passed on")
            yield event

    async def on_user_turn_completed(self, turn_ctx: lk_llm.ChatContext, new_message: lk_llm.ChatMessage) -> None:
        await self._driver.on_turn_completed(new_message)


class RoomDriver:
    """Connects a room to a conversation loop. ``post`` takes the core's events."""

    def __init__(
        self,
        room: rtc.Room,
        caller: rtc.RemoteParticipant,
        providers: Providers,
        clock: Clock,
        *,
        on_words: Callable[[str, bool], None],
        on_say: Callable[[Say | SayMore], None],
        on_pause: Callable[[str], None],
    ) -> None:
        self._room = room
        self._caller = caller
        self._clock = clock
        self._providers = providers
        self._on_words = on_words
        self._on_say = on_say
        if providers.watch_pauses is not None:
            providers.watch_pauses(on_pause)
        self._finals: list[stt.SpeechEvent] = []
        self._final_at: datetime | None = None
        self._speaking: _Speaking | None = None
        self._spoken: asyncio.Task[None] | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._leg = Leg(room, caller, self._on_gone)
        self._leaving: asyncio.Task[None] | None = None
        self._closing = False
        self.post: Callable[[Event], None] = _unconnected
        self._session: AgentSession[None] = AgentSession(
            stt=providers.stt,
            tts=providers.tts,
            vad=providers.vad,
            turn_handling=TURN_HANDLING,
            # The default would make us deaf for the first three seconds of our greeting.
            aec_warmup_duration=None,
            user_away_timeout=None,
            transcription_timeout=providers.no_words_after,
        )

    async def start(self) -> None:
        """Publish our track (which lets LiveKit SIP answer) and listen to the caller."""
        session = self._session
        await self._leg.watch()
        session.on("agent_state_changed", self._on_agent_state)
        session.on("user_state_changed", self._on_user_state)
        session.on("user_transcription_timeout", self._on_no_words)
        session.on("close", self._on_session_closed)
        options = room_io.RoomOptions(
            text_input=False,
            audio_input=room_io.AudioInputOptions(sample_rate=EAR_RATE, frame_size_ms=20, pre_connect_audio=False),
            participant_identity=self._caller.identity,
            close_on_disconnect=False,
            delete_room_on_close=False,
        )
        await session.start(
            _Receptionist(self), room=self._room, room_options=options, session_host=False, record=False
        )

    async def answered(self) -> None:
        """Returns when the caller can hear us."""
        await self._leg.active.wait()

    async def played_out(self) -> None:
        """Leaves the last words time to arrive."""
        await asyncio.sleep(TAIL_SECONDS)

    async def close(self) -> None:
        """Stop listening and speaking."""
        self._closing = True
        self._stop_silence()
        self._leg.close()
        await self._session.aclose()
        if self._providers.close is not None:
            await self._providers.close()

    # -- speaking ---------------------------------------------------------------------------------------------------

    def speak_ahead(self, text: str) -> None:
        """``text`` will probably be said soon."""
        if self._providers.speak_ahead is not None:
            self._providers.speak_ahead(text)

    def say(self, effect: Say) -> None:
        """Speak; the end is posted as ``SpeechEnded``."""
        self._stop_silence()
        if self._speaking is not None:
            self._speaking.handle.interrupt(force=True)
        words = Words() if effect.more else None
        if words is not None:
            words.add(effect.text)
        account = SpeechAccount()
        context = speech_account.set(account)
        try:
            handle = self._session.say(
                effect.text if words is None else words, allow_interruptions=effect.kind not in ("notice", "goodbye")
            )
        finally:
            speech_account.reset(context)
        speaking = _Speaking(effect.utterance, handle, words, account)
        self._speaking = speaking
        self._on_say(effect)
        self._spoken = asyncio.create_task(self._follow(speaking), name="speech")

    def say_more(self, effect: SayMore) -> None:
        """Go on with what is being said; too late when it was interrupted."""
        speaking = self._speaking
        if speaking is None or speaking.utterance != effect.utterance or speaking.words is None:
            return
        if effect.text:
            speaking.words.add(effect.text)
        if effect.last:
            speaking.words.end()
        self._on_say(effect)

    async def _follow(self, speaking: _Speaking) -> None:
        await speaking.handle.wait_for_playout()
        failure = speaking.handle.exception()
        if failure is not None:
            _log.warning("an utterance could not be spoken", error=type(failure).__name__)
        messages = [item for item in speaking.handle.chat_items if isinstance(item, lk_llm.ChatMessage)]
        heard = " ".join(message.text_content or "" for message in messages).strip()
        if self._speaking is speaking:
            self._speaking = None
        interrupted = speaking.handle.interrupted
        self.post(
            SpeechEnded(
                utterance=speaking.utterance,
                heard=speaking.account.heard(heard, interrupted=interrupted),
                interrupted=interrupted,
                added=speaking.account.added,
                faults=tuple(speaking.account.faults),
                first_audio=speaking.first_audio,
                stopped=self._clock.now(),
            )
        )
        self._start_silence()

    def _on_agent_state(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "speaking" and self._speaking is not None and self._speaking.first_audio is None:
            self._speaking.first_audio = datetime.fromtimestamp(event.created_at, UTC)

    # -- listening --------------------------------------------------------------------------------------------------

    def on_recognised(self, event: stt.SpeechEvent) -> None:
        """Interim and final transcripts as they come."""
        if not event.alternatives:
            return
        text = event.alternatives[0].text
        if event.type is stt.SpeechEventType.INTERIM_TRANSCRIPT and text:
            self._on_words(" ".join([*self._words(), text]), False)
        elif event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
            self._finals.append(event)
            self._final_at = self._clock.now()
            if text:
                self._on_words(" ".join(self._words()), True)

    async def heard_by_leg(self, audio: AsyncIterable[rtc.AudioFrame]) -> AsyncGenerator[rtc.AudioFrame, None]:
        """``audio`` as it is: that it comes at all says that the caller is connected."""
        async for frame in audio:
            self._leg.hears()
            yield frame

    def _words(self) -> list[str]:
        return [event.alternatives[0].text for event in self._finals if event.alternatives]

    async def on_turn_completed(self, message: lk_llm.ChatMessage) -> None:
        """The caller's turn is over; what they interrupted is filed first."""
        now = self._clock.now()
        if self._spoken is not None and self._speaking is not None:
            if self._speaking.handle.allow_interruptions:
                # The session has done so for what is being played, but not for what is about to be.
                self._speaking.handle.interrupt()
            await self._spoken
        metrics = message.metrics
        timings = TurnTimings(
            speech_started=time_of(metrics.get("started_speaking_at")),
            speech_ended=time_of(metrics.get("stopped_speaking_at")),
            transcript=self._final_at,
            end_of_turn=now,
        )
        finals, self._finals, self._final_at = self._finals, [], None
        faults = self._providers.ear_faults()
        self.post(CallerSpoke(heard=heard_of(finals), detail=detail_of(finals), faults=faults, timings=timings))

    def _on_no_words(self, event: UserTranscriptionTimeoutEvent) -> None:
        """Speech without a word: the core asks the caller to repeat, unless we are speaking ourselves."""
        if self._speaking is None and event.speech_duration >= 0.4:
            self._finals, self._final_at = [], None
            timings = TurnTimings(speech_started=time_of(event.vad_speech_started_at), end_of_turn=self._clock.now())
            self.post(CallerSpoke(heard=(), faults=self._providers.ear_faults(), timings=timings))

    def _on_user_state(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._stop_silence()
        elif event.old_state == "speaking" and self._speaking is None:
            self._start_silence()

    def _start_silence(self) -> None:
        """Unless somebody is speaking: a caller who has just interrupted us may go on for long."""
        self._stop_silence()
        if self._closing or self._leg.gone or self._speaking is not None or self._session.user_state == "speaking":
            return
        loop = asyncio.get_running_loop()
        self._silence = loop.call_later(SILENCE_SECONDS, self._silent)

    def _silent(self) -> None:
        if self._leg.there:
            self.post(CallerSilent())
        else:
            self._start_silence()  # a caller who can't be heard isn't silent

    def _stop_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None

    # -- the leg ----------------------------------------------------------------------------------------------------

    def _on_session_closed(self, event: CloseEvent) -> None:
        """Ear or voice have failed for good: nobody would hear the caller any more."""
        if not self._closing and not self._leg.gone:
            _log.error("the session closed by itself", reason=event.reason)
            self.post(CallerLeft(reason=EndReason.AGENT_FAILED))

    def _on_gone(self, reason: EndReason) -> None:
        self._stop_silence()
        if self._speaking is None or self._spoken is None:
            self.post(CallerLeft(reason=reason))
            return
        self._speaking.handle.interrupt(force=True)
        self._leaving = asyncio.create_task(self._leave(self._spoken, reason), name="leaving")

    async def _leave(self, spoken: asyncio.Task[None], reason: EndReason) -> None:
        """The turn is filed with what was heard of it, then the caller is gone."""
        await asyncio.wait({spoken}, timeout=LAST_HEARD_SECONDS)
        self.post(CallerLeft(reason=reason))


def _unconnected(event: Event) -> None:
    raise RuntimeError(f"{event.type} before the driver was connected to a conversation")
