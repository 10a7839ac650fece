"""Ear, brain and voice for a call. Chosen per tenant; the offline ones are what a tenant gets without choosing.

A stage with nothing chosen has no chain at all: such a call pays for none of it, neither in time nor in processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from livekit.agents import inference
from livekit.agents.utils import http_context
from switchboard.bus import Bus
from switchboard.clock import Clock
from switchboard.contracts.documents import SPEECH_TEXTS, SpeechTexts
from switchboard.contracts.providers import OFFLINE, SERVES, ProviderChoice, ProviderStage
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.errors import SwitchboardError
from switchboard.sealed import SealError
from switchboard.settings import ProviderEndpoint, ProviderSettings

from voice_agent.adapters.offline_brain import OfflineBrain
from voice_agent.adapters.offline_links import OfflineEar, OfflineVoice
from voice_agent.chains.stt import END_SILENCE, ChainedSTT
from voice_agent.chains.tts import ChainedTTS
from voice_agent.drivers.room import Providers
from voice_agent.llm.brain import LlmBrain
from voice_agent.offline.language_model import SpeechModel, build_language_model
from voice_agent.offline.stt import OfflineSTT
from voice_agent.offline.voice import OfflineTTS, VoiceSettings
from voice_agent.ports import Brain, Retriever, StreamingBrain
from voice_agent.settings import SpeechSettings

if TYPE_CHECKING:
    from voice_agent.adapters.plugins import Connections

_log = structlog.get_logger(__name__)

_Chosen = tuple[ProviderChoice, ProviderEndpoint, float]

DEADLINES: dict[ProviderStage, float] = {"stt": 1.2, "llm": 1.5, "tts": 1.2}
"""Seconds that a stage may be waited for when the tenant has not said."""

CHAIN_PATIENCE = 3.2
"""Seconds after which speech without a word is asked about, when the ear may still be trying another link."""


class SpeechProviders:
    """Made once a process; gives each call its own ear, brain and voice."""

    def __init__(self, settings: SpeechSettings, providers: ProviderSettings | None = None) -> None:
        self._settings = settings
        self._endpoints = {} if providers is None else providers.endpoints
        self._vad = inference.VAD(min_silence_duration=0.3)
        if self._endpoints:
            # Here and not in the first call that needs them: they take a second.
            import voice_agent.adapters.plugins  # noqa: F401

    def for_call(self, bus: Bus, snapshot: TenantSnapshot) -> Providers:
        """The ear knows the tenant's words; while they can't be had it hears with the general ones only.

        Returns at once: the ear gets ready while the call is answered and the greeting is spoken.
        """
        voice = VoiceSettings(voice=snapshot.agent.voice)
        chains = snapshot.agent.providers
        ears, voices = list(self._chosen("stt", chains.stt)), list(self._chosen("tts", chains.tts))
        ear = OfflineSTT(model=asyncio.create_task(self._model(bus, snapshot), name="speech model"))
        if not ears and not voices:
            return Providers(stt=ear, tts=OfflineTTS(voice), vad=self._vad)
        return self._chained(ear, voice, ears, voices)

    def brain(self, snapshot: TenantSnapshot, clock: Clock, retriever: Retriever) -> Brain | StreamingBrain:
        """The chain of models, or the offline answerer alone."""
        offline = OfflineBrain(snapshot, clock)
        chosen = list(self._chosen("llm", snapshot.agent.providers.llm))
        if not chosen:
            return offline
        from voice_agent.adapters.plugins import PluginChat

        wires = _connections()
        links = [PluginChat(choice, endpoint, deadline, wires) for choice, endpoint, deadline in chosen]
        return LlmBrain(snapshot, clock, links, retriever, offline, close=wires.aclose)

    def _chained(
        self, ear: OfflineSTT, settings: VoiceSettings, ears: list[_Chosen], voices: list[_Chosen]
    ) -> Providers:
        """A stage with nothing chosen is the offline one itself, not a chain of one."""
        from voice_agent.adapters import plugins

        wires = _connections()
        hearing: ChainedSTT | None = None
        if ears:
            detector = inference.VAD(
                min_speech_duration=0.05, min_silence_duration=END_SILENCE, prefix_padding_duration=0.4
            )
            links = [plugins.DeepgramEar(choice, endpoint, deadline, wires) for choice, endpoint, deadline in ears]
            hearing = ChainedSTT([*links, OfflineEar(ear)], detector)
        speaking: OfflineTTS | ChainedTTS = OfflineTTS(settings)
        if voices:
            made = [plugins.voice(choice, endpoint, deadline, wires) for choice, endpoint, deadline in voices]
            speaking = ChainedTTS([*made, OfflineVoice(settings)])

        async def close() -> None:
            for chain in (hearing, speaking):
                if chain is not None:
                    await chain.aclose()
            await wires.aclose()

        speak_ahead = speaking.speak_ahead if isinstance(speaking, ChainedTTS) else None
        if hearing is None:
            return Providers(stt=ear, tts=speaking, vad=self._vad, speak_ahead=speak_ahead, close=close)
        return Providers(
            stt=hearing,
            tts=speaking,
            vad=self._vad,
            ear_faults=hearing.take_faults,
            no_words_after=CHAIN_PATIENCE,
            speak_ahead=speak_ahead,
            watch_pauses=hearing.watch_pauses,
            close=close,
        )

    def _chosen(self, stage: ProviderStage, chain: tuple[ProviderChoice, ...]) -> Iterator[_Chosen]:
        """The links that can be built here, up to the offline one. What can't be is a fault of the operators' settings."""
        for choice in chain:
            if choice.endpoint == OFFLINE:
                return
            endpoint = self._endpoints.get(choice.endpoint)
            if endpoint is None or stage not in SERVES[endpoint.kind]:
                _log.error("an endpoint that a tenant has chosen can't be used", stage=stage, endpoint=choice.endpoint)
                continue
            deadline = DEADLINES[stage] if choice.deadline_ms is None else choice.deadline_ms / 1000
            yield choice, endpoint, deadline

    async def _model(self, bus: Bus, snapshot: TenantSnapshot) -> SpeechModel:
        texts = [*await _texts(bus, snapshot), *profile_texts(snapshot)]
        return await asyncio.to_thread(_build, self._settings.model_cache / snapshot.tenant_id.hex, texts, snapshot)


def _connections() -> Connections:
    from voice_agent.adapters.plugins import Connections

    return Connections(http_context._create_ssl_context())


async def _texts(bus: Bus, snapshot: TenantSnapshot) -> tuple[str, ...]:
    try:
        reply = await bus.request(SPEECH_TEXTS, SpeechTexts(), tenant_id=snapshot.tenant_id)
    except (SwitchboardError, SealError) as error:
        _log.warning("the ear goes without the tenant's documents", error=type(error).__name__)
        return ()
    # The first line of a text is its heading; as one it tells the ear what the lines below are about.
    return tuple(f"# {text}" for text in reply.texts or ())


def _build(cache: Path, texts: list[str], snapshot: TenantSnapshot) -> SpeechModel:
    places = tuple(location.name for location in snapshot.locations)
    return build_language_model(texts, names=(snapshot.name,), places=places, cache=cache)


def profile_texts(snapshot: TenantSnapshot) -> list[str]:
    """What the configuration itself says in words: clinic, places, notes."""
    texts = [snapshot.name]
    for location in snapshot.locations:
        texts += [part for part in (location.name, location.address, location.notes) if part]
    return texts
