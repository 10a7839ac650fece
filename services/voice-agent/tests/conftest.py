"""Fixtures: a small tenant, its language model; the emulated providers, and what the links
of our chains on the real plugins are built of.
"""

import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from emulators.server import Emulators
from emulators.testing import KEY, admin, emulator_models, emulators
from livekit.agents.utils import http_context
from switchboard.contracts.providers import ProviderChoice, ProviderKind
from switchboard.settings import ProviderEndpoint
from voice_agent.adapters.plugins import Connections
from voice_agent.offline import sound
from voice_agent.offline.language_model import SpeechModel, build_language_model
from voice_agent.offline.voice import VoiceSettings, read_wav

__all__ = ["admin", "emulator_models", "emulators"]

Build = Callable[..., tuple[ProviderChoice, ProviderEndpoint, float, Connections]]

TEXTS = (
    "# Price list\n| Treatment | Price |\n|---|---|\n| Velora peel | $129 |\n| Deep tissue massage | $95 |\n",
    "Q: Where can I park?\nA: Parking is free behind the building.\n",
)


@pytest.fixture(scope="session")
def tenant_texts() -> tuple[str, ...]:
    return TEXTS


@pytest.fixture(scope="session")
def speech_model() -> SpeechModel:
    return build_language_model(TEXTS, names=["Harbor Clinic"], places=["Oak Street"])


@pytest.fixture(scope="session")
def question() -> sound.Samples:
    """ "how much is a velora peel", by telephone, at the ear's rate, silence around it."""
    command = VoiceSettings(voice="en-us").command()
    wav = subprocess.run(command, input=b"how much is a velora peel\n", capture_output=True, check=True).stdout
    samples, rate = read_wav(wav)
    quiet = np.zeros(sound.EAR_RATE // 3, np.int16)
    return np.concatenate([quiet, sound.through_telephone(samples, rate), quiet])


@pytest_asyncio.fixture
async def wires() -> AsyncIterator[Connections]:
    made = Connections(http_context._create_ssl_context())
    yield made
    await made.aclose()


@pytest.fixture
def link(emulators: Emulators, wires: Connections) -> Build:
    """What a link is built of, for an endpoint of a kind at the emulators."""

    def build(kind: ProviderKind, *, deadline: float = 5.0, name: str = "", **choice: Any) -> Any:
        base = {"openai": "/v1", "deepgram": "", "elevenlabs": "/v1", "cartesia": ""}[kind]
        endpoint = ProviderEndpoint.model_validate(
            {"kind": kind, "base_url": emulators.url + base, "api_key": choice.pop("key", KEY)}
        )
        return ProviderChoice(endpoint=name or f"{kind}-main", **choice), endpoint, deadline, wires

    return build


@pytest.fixture(scope="session")
def said() -> Callable[[str], sound.Samples]:
    """A sentence as it comes over a telephone, at the ear's rate."""

    def say(text: str) -> sound.Samples:
        wav = subprocess.run(
            VoiceSettings(voice="en-us").command(), input=text.encode() + b"\n", capture_output=True, check=True
        ).stdout
        samples, rate = read_wav(wav)
        return np.asarray(sound.through_telephone(samples, rate), np.int16)

    return say
