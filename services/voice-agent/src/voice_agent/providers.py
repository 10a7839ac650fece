"""Ears and voice for a call. Chosen per tenant; the offline ones are what a tenant gets without choosing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from livekit.agents import inference
from switchboard.bus import Bus
from switchboard.contracts.documents import SPEECH_TEXTS, SpeechTexts
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.errors import SwitchboardError
from switchboard.sealed import SealError

from voice_agent.drivers.room import Providers
from voice_agent.offline.language_model import SpeechModel, build_language_model
from voice_agent.offline.stt import OfflineSTT
from voice_agent.offline.voice import OfflineTTS, VoiceSettings
from voice_agent.settings import SpeechSettings

_log = structlog.get_logger(__name__)

DITHER_SEED = 1
"""The dither that keeps digital silence from confusing the decoder is the same in every call."""


class SpeechProviders:
    """Made once a process; gives each call its own ear and voice."""

    def __init__(self, settings: SpeechSettings) -> None:
        self._settings = settings
        self._vad = inference.VAD(min_silence_duration=0.3)

    def for_call(self, bus: Bus, snapshot: TenantSnapshot) -> Providers:
        """The ear knows the tenant's words; while they can't be had it hears with the general ones only.

        Returns at once: the ear gets ready while the call is answered and the greeting is spoken.
        """
        model = asyncio.create_task(self._model(bus, snapshot), name="speech model")
        ear = OfflineSTT(model=model, acoustic=self._settings.acoustic_model, seed=DITHER_SEED)
        voice = OfflineTTS(VoiceSettings(voice=snapshot.agent.voice))
        return Providers(stt=ear, tts=voice, vad=self._vad)

    async def _model(self, bus: Bus, snapshot: TenantSnapshot) -> SpeechModel:
        texts = [*await _texts(bus, snapshot), *profile_texts(snapshot)]
        return await asyncio.to_thread(_build, self._settings.model_cache / snapshot.tenant_id.hex, texts, snapshot)


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
