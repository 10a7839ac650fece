"""Fixtures: the MiniLM model, built once per session (about 3 s). A tests folder imports them in its conftest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard.embeddings import MiniLm
from switchboard.embeddings.build import build


@pytest.fixture(scope="session")
def minilm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished model folder."""
    folder = tmp_path_factory.mktemp("minilm")
    build(folder)
    return folder


@pytest.fixture(scope="session")
def minilm(minilm_folder: Path) -> Iterator[MiniLm]:
    """The offline embedder."""
    model = MiniLm.open(minilm_folder)
    yield model
    model.close()
