"""A migrated database as rag-svc sees it, and an embedder that needs no model."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from rag_svc.documents.service import Documents
from rag_svc.main import vector_codec
from rag_svc.search.service import Retrieval
from switchboard.blobs import Blobs
from switchboard.clock import SystemClock
from switchboard.contracts.base import Fact
from switchboard.db import Database
from switchboard.embeddings import Vector
from switchboard.ids import Ids
from switchboard.outbox import Message
from switchboard.settings import BlobSettings
from switchboard.testing.database import MigratedDatabase


class WordEmbedder:
    """Counts words into 384 places: texts with the same words are near. Enough to test everything but meaning."""

    model = "words"
    dimensions = 384

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [self.one(text) for text in texts]

    def one(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in text.lower().replace(":", " ").split():
            vector[hashlib.sha256(word.encode()).digest()[0] + 1] += 1
        unit: Vector = vector / np.linalg.norm(vector)
        return unit


async def encode(fact: Fact) -> Message:
    """In place of the bus: the fact's name as payload, no sealing."""
    return Message(Ids(SystemClock()).new(), fact.subject(), fact.contract().encode(), {})


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(BlobSettings(url=(tmp_path / "blobs").as_uri()))


@pytest_asyncio.fixture
async def db(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    async with Database.open(migrated.settings("rag_svc"), name="test", init=vector_codec) as opened:
        yield opened


@pytest.fixture
def documents(db: Database, blobs: Blobs) -> Documents:
    return Documents(db, blobs, encode, SystemClock())


@pytest.fixture
def retrieval(db: Database, embedder: WordEmbedder) -> Retrieval:
    return Retrieval(db, embedder, SystemClock())
