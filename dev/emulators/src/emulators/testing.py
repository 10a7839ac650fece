"""Fixtures for tests of anything that calls a provider. A tests folder imports them in its conftest.

``emulator_models`` takes a few seconds, once a session; ``emulators`` is fresh for each test; ``admin`` sets its behaviour.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from switchboard.embeddings.build import build
from voice_agent.offline.adapt import Recipe, adapt

from emulators.client import EmulatorsClient
from emulators.server import Config, Emulators

KEY = "emulated-key"
"""Every provider's API key in tests."""


@dataclass(frozen=True)
class Models:
    """Folders that the emulators need."""

    embeddings: Path
    acoustic: Path
    cache: Path


@pytest.fixture(scope="session")
def emulator_models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """MiniLM, and an ear adapted with a tenth of the real recipe's work: good enough for clear speech."""
    folder = tmp_path_factory.mktemp("emulators")
    build(folder / "minilm")
    adapt(folder / "acoustic", Recipe(sentences=40, voices=("en-us", "en-gb")))
    return Models(folder / "minilm", folder / "acoustic", folder / "words")


@pytest_asyncio.fixture
async def emulators(emulator_models: Models) -> AsyncIterator[Emulators]:
    """All protocols, in the test's own loop, on free ports."""
    models = emulator_models
    async with Emulators(Config(KEY, models.embeddings, models.cache, models.acoustic)) as running:
        yield running


@pytest_asyncio.fixture
async def admin(emulators: Emulators) -> AsyncIterator[EmulatorsClient]:
    """The operator of `emulators`."""
    async with EmulatorsClient.open(emulators.admin_url) as client:
        yield client
