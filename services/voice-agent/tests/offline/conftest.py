"""Fixtures: a small tenant, its language model, and a quickly adapted acoustic model."""

from pathlib import Path

import numpy as np
import pytest
from voice_agent.offline import sound
from voice_agent.offline.adapt import Recipe, adapt
from voice_agent.offline.language_model import SpeechModel, build_language_model
from voice_agent.offline.voice import VoiceSettings, read_wav

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
def acoustic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stock model adapted to forty sentences: a tenth of the real recipe's work, good enough for clear speech."""
    folder = tmp_path_factory.mktemp("acoustic") / "model"
    adapt(folder, Recipe(sentences=40, voices=("en-us", "en-gb")))
    return folder


@pytest.fixture(scope="session")
def question() -> sound.Samples:
    """ "how much is a velora peel", by telephone, at the ear's rate, silence around it."""
    import subprocess

    command = VoiceSettings(voice="en-us").command()
    wav = subprocess.run(command, input=b"how much is a velora peel\n", capture_output=True, check=True).stdout
    samples, rate = read_wav(wav)
    quiet = np.zeros(sound.EAR_RATE // 3, np.int16)
    return np.concatenate([quiet, sound.through_telephone(samples, rate), quiet])
