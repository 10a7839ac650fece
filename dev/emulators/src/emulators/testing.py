"""Fixtures for tests of anything that calls a provider. A tests folder imports them in its conftest.

``emulators`` is fresh for each test, ``admin`` sets its behaviour. The models are those that set-up made.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from fleet.models import EMBEDDINGS, Model
from fleet.setup import install_model

from emulators.client import EmulatorsClient
from emulators.server import Config, Emulators

KEY = "emulated-key"
"""Every provider's API key in tests."""


@dataclass(frozen=True)
class Models:
    """Folders that the emulators need."""

    embeddings: Path
    cache: Path


@pytest.fixture(scope="session")
def emulator_models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """MiniLM, as set-up makes it."""
    return Models(_made(EMBEDDINGS), tmp_path_factory.mktemp("words"))


def _made(model: Model) -> Path:
    """The newest that was made: for the emulators one of an earlier recipe does as well."""
    kept = sorted(model.folder().parent.glob(f"{model.name}-*/"), key=lambda folder: folder.stat().st_mtime)
    if not kept:
        install_model(model)
    return kept[-1] if kept else model.folder()


@pytest_asyncio.fixture
async def emulators(emulator_models: Models) -> AsyncIterator[Emulators]:
    """All protocols, in the test's own loop, on free ports."""
    models = emulator_models
    async with Emulators(Config(KEY, models.embeddings, models.cache)) as running:
        yield running


@pytest_asyncio.fixture
async def admin(emulators: Emulators) -> AsyncIterator[EmulatorsClient]:
    """The operator of `emulators`."""
    async with EmulatorsClient.open(emulators.admin_url) as client:
        yield client
