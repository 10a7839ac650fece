"""The clinics' documents on their real way into retrieval: ingest-worker's parser and chunker, MiniLM, rag-svc on PostgreSQL.

Only the bus between the services is left out; what it carries is handed over directly.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from fleet.hosted import HostedSupervisor
from fleet.models import EMBEDDINGS
from fleet.servers import make_postgres
from ingest_worker.chunking.chunker import chunk
from ingest_worker.parsing.sandbox import Parser
from rag_svc.documents.service import Documents
from rag_svc.embedding.models import Choices
from rag_svc.main import PARAMETERS, vector_codec
from rag_svc.search.service import Retrieval
from switchboard.blobs import Blobs, key
from switchboard.clock import SystemClock
from switchboard.contracts.base import Actor, Fact
from switchboard.contracts.documents import Chunk, IndexChunks, RegisterDocument, Search
from switchboard.db import Database
from switchboard.embeddings import Embedders, MiniLm
from switchboard.ids import Ids
from switchboard.outbox import Message
from switchboard.repeats import Repeats
from switchboard.sealed import Cipher, Sealed
from switchboard.settings import BlobSettings
from switchboard.testing.database import create_empty, migrated_database
from voice_agent.adapters.bus_retriever import LIMIT
from voice_agent.conversation.models import Source

from bench.offline.clinics import Clinic, Document


@dataclass
class Knowledge:
    """Indexes and searches. One tenant per clinic."""

    documents: Documents
    retrieval: Retrieval
    embedder: MiniLm
    ids: Ids

    async def take(self, clinic: Clinic) -> UUID:
        """Ingests everything that the clinic uploaded; its tenant."""
        tenant = self.ids.new()
        for document in clinic.documents:
            await self._upload(tenant, document)
        return tenant

    async def _upload(self, tenant: UUID, document: Document) -> None:
        identifier = self.ids.new()
        await self.documents.register(
            tenant,
            RegisterDocument(
                document_id=identifier,
                name=Sealed(document.name),
                media_type=document.media_type,
                blob_key=str(key(tenant, "documents", identifier)),
                sha256=hashlib.sha256(document.data).hexdigest(),
                size=len(document.data),
            ),
            Actor(kind="service", id="bench"),
        )
        drafts = chunk(await Parser().parse(document.media_type, document.data))
        vectors = await self.embedder.embed([draft.embedded for draft in drafts])
        chunks = tuple(
            Chunk(ordinal=at, heading=Sealed(draft.heading), text=Sealed(draft.text), vector=tuple(map(float, vector)))
            for at, (draft, vector) in enumerate(zip(drafts, vectors, strict=True))
        )
        await self.documents.index(
            tenant,
            IndexChunks(
                document_id=identifier, revision=1, model=self.embedder.model, chunks=chunks, first=0, last=True
            ),
        )

    async def search(self, tenant: UUID, queries: Sequence[str]) -> tuple[Source, ...]:
        """As the agent's retriever asks for them."""
        wanted = Search(queries=tuple(Sealed(query) for query in queries), limit=LIMIT)
        reply = await self.retrieval.search(tenant, wanted)
        return tuple(
            Source(
                passage_id=passage.passage_id,
                document_id=passage.document_id,
                document_name=str(passage.document_name),
                heading=str(passage.heading),
                text=str(passage.text),
                score=passage.score,
                similarity=passage.similarity,
            )
            for passage in reply.passages
        )

    async def speech_texts(self, tenant: UUID) -> tuple[str, ...]:
        """What the ear learns its words from."""
        reply = await self.retrieval.speech_texts(tenant, "")
        return tuple(str(text) for text in reply.texts or ())


class Keyless:
    """Nobody asks again here, so no answer is kept."""

    async def cipher(self, tenant_id: UUID | None) -> Cipher:
        raise AssertionError("an answer is kept, though no request here has a key")


@asynccontextmanager
async def opened() -> AsyncIterator[Knowledge]:
    """A PostgreSQL of its own in a temporary folder, gone afterwards. Needs what `make setup` installs."""
    clock = SystemClock()

    async def encode(fact: Fact) -> Message:
        return Message(ids.new(), fact.subject(), b"", {})

    ids = Ids(clock)
    with tempfile.TemporaryDirectory(prefix="switchboard-bench-") as folder:
        host = HostedSupervisor(Path(folder))
        try:
            server = make_postgres(Path(folder, "postgres"), host.ports.one(), secrets.token_urlsafe(18), durable=False)
            await host.astart(server.spec)
            database = await migrated_database(await create_empty(server.dsn()))
            embedder = MiniLm.open(EMBEDDINGS.folder(), threads=1)
            async with Database.open(
                database.settings("rag_svc"), name="bench", init=vector_codec, parameters=PARAMETERS
            ) as db:
                embedders = Embedders(embedder)
                choices = Choices({}, embedders)
                blobs = Blobs.open(BlobSettings(url=Path(folder, "blobs").as_uri()))
                documents = Documents(db, blobs, encode, Repeats("knowledge", Keyless(), clock), choices, clock)
                yield Knowledge(documents, Retrieval(db, embedders, choices, clock), embedder, ids)
            embedder.close()
        finally:
            host.close()
