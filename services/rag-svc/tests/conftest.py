"""A migrated database as rag-svc sees it, and an embedder that needs no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import numpy as np
import pytest
import pytest_asyncio
from pydantic import SecretStr
from rag_svc.documents.service import Documents
from rag_svc.embedding.models import Choices
from rag_svc.embedding.service import Reembedding
from rag_svc.main import PARAMETERS, vector_codec
from rag_svc.search.service import Retrieval
from switchboard.blobs import Blobs
from switchboard.clock import SystemClock
from switchboard.contracts.base import Fact
from switchboard.contracts.providers import ProviderChains, ProviderChoice
from switchboard.contracts.snapshot import AgentConfiguration, TenantSnapshot, TenantStatus
from switchboard.db import Database
from switchboard.embeddings import Embedders, Vector
from switchboard.ids import Ids
from switchboard.outbox import Message
from switchboard.repeats import Repeats
from switchboard.sealed import DataKey
from switchboard.settings import BlobSettings, ProviderEndpoint
from switchboard.testing.database import MigratedDatabase


class WordEmbedder:
    """Counts words into 384 places: texts with the same words are near. Enough to test everything but meaning.

    ``shift`` moves all places: the vectors of two shifts are as good as those of two models.
    """

    model = "words"
    dimensions = 384

    def __init__(self, shift: int = 0) -> None:
        self._shift = shift

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [self.one(text) for text in texts]

    def one(self, text: str) -> Vector:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in text.lower().replace(":", " ").split():
            vector[(hashlib.sha256(word.encode()).digest()[0] + 1 + self._shift) % self.dimensions] += 1
        unit: Vector = vector / np.linalg.norm(vector)
        return unit


class Provider:
    """A provider of embeddings behind the real client, without a socket. ``failing`` is raised, or its status answered."""

    def __init__(self) -> None:
        self.embedder = WordEmbedder(shift=100)
        self.asked: list[list[str]] = []
        self.failing: int | Exception | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append(body["input"])
        if isinstance(self.failing, Exception):
            raise self.failing
        if self.failing is not None:
            return httpx.Response(self.failing)
        items = [
            {"index": at, "embedding": [float(value) for value in self.embedder.one(text)]}
            for at, text in enumerate(body["input"])
        ]
        return httpx.Response(200, json={"object": "list", "data": items})


@dataclass
class Published:
    """What has been published, in place of the bucket."""

    snapshots: dict[UUID, TenantSnapshot] = field(default_factory=dict)

    def get(self, tenant_id: UUID, /) -> TenantSnapshot | None:
        return self.snapshots.get(tenant_id)

    def tenants(self) -> tuple[UUID, ...]:
        return tuple(self.snapshots)

    def choose(self, tenant_id: UUID, embeddings: ProviderChoice | None) -> None:
        agent = AgentConfiguration(providers=ProviderChains(embeddings=embeddings))
        self.snapshots[tenant_id] = TenantSnapshot(
            tenant_id=tenant_id,
            version=1,
            published_at=datetime(2026, 3, 2, tzinfo=UTC),
            status=TenantStatus.LIVE,
            name="Clinica",
            time_zone="UTC",
            agent=agent,
        )


async def encode(fact: Fact) -> Message:
    """In place of the bus: the fact's name as payload, no sealing."""
    return Message(Ids(SystemClock()).new(), fact.subject(), fact.contract().encode(), {})


class OneKey:
    """A keyring with one key for everybody."""

    async def cipher(self, tenant_id: UUID | None) -> DataKey:
        return DataKey(bytes(32), "everybody")


@pytest.fixture
def embedder() -> WordEmbedder:
    return WordEmbedder()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(BlobSettings(url=(tmp_path / "blobs").as_uri()))


@pytest_asyncio.fixture
async def db(migrated: MigratedDatabase) -> AsyncIterator[Database]:
    async with Database.open(
        migrated.settings("rag_svc"), name="test", init=vector_codec, parameters=PARAMETERS
    ) as opened:
        yield opened


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def published() -> Published:
    return Published()


@pytest_asyncio.fixture
async def embedders(embedder: WordEmbedder, provider: Provider) -> AsyncIterator[Embedders]:
    """Offline, and the endpoint ``main``."""
    main = ProviderEndpoint(kind="openai", base_url="http://provider.example/v1", api_key=SecretStr("key"))
    async with Embedders.open(embedder, {"main": main}, transport=httpx.MockTransport(provider.answer)) as opened:
        yield opened


@pytest.fixture
def choices(published: Published, embedders: Embedders) -> Choices:
    return Choices(published, embedders)


@pytest.fixture
def documents(db: Database, blobs: Blobs, choices: Choices) -> Documents:
    return Documents(db, blobs, encode, Repeats("knowledge", OneKey(), SystemClock()), choices, SystemClock())


@pytest.fixture
def retrieval(db: Database, embedders: Embedders, choices: Choices) -> Retrieval:
    return Retrieval(db, embedders, choices, SystemClock())


@pytest.fixture
def reembedding(documents: Documents, choices: Choices, embedders: Embedders, published: Published) -> Reembedding:
    return Reembedding(documents, choices, embedders, published.tenants, SystemClock())
