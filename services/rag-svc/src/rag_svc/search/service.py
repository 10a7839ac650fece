"""Retrieval: meaning and words, fused; and the texts that the offline ear learns its words from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

from pgvector import Vector
from switchboard.clock import Clock
from switchboard.contracts.documents import (
    Passage,
    Search,
    SearchReply,
    SearchTimings,
    SpeechTextsReply,
)
from switchboard.db import Database
from switchboard.embeddings import Embedder
from switchboard.sealed import Sealed

from rag_svc.search import repository
from rag_svc.search.fusion import Ranking, fuse, query_weight

CANDIDATES = 20
"""How deep each ranking goes before they are fused."""

MAX_SPEECH_BYTES = 400_000
"""Texts of one reply: sealed and in base64 they must fit into one message of the bus."""


class Retrieval:
    """Every method takes the tenant that the caller has been checked for."""

    def __init__(self, db: Database, embedder: Embedder, clock: Clock) -> None:
        self._db = db
        self._embedder = embedder
        self._clock = clock

    async def search(self, tenant_id: UUID, body: Search) -> SearchReply:
        """The passages that best answer what the caller may have said, best first."""
        queries = list(dict.fromkeys(" ".join(query.split()) for query in body.queries))
        started = self._clock.monotonic()
        vectors = [Vector(vector) for vector in await self._embedder.embed(queries)]
        embedded = self._clock.monotonic()
        model = self._embedder.model
        depth = max(CANDIDATES, body.limit)
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            near = await repository.nearest(conn, vectors, model, depth)
            worded = await repository.by_words(conn, queries, depth)
            best = fuse(_rankings(len(queries), near, worded), body.limit)
            found = await repository.passages(conn, [identifier for identifier, _ in best], vectors, model)
        ended = self._clock.monotonic()
        timings = SearchTimings(embed_ms=(embedded - started) * 1000, query_ms=(ended - embedded) * 1000)
        return SearchReply(
            passages=tuple(_passage(found[identifier], score) for identifier, score in best), timings=timings
        )

    async def speech_texts(self, tenant_id: UUID, digest: str) -> SpeechTextsReply:
        """One text per chunk: its heading on a line, then what it says. ``None`` when the asker's are still right."""
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            current = _digest(await repository.state(conn))
            if digest == current:
                return SpeechTextsReply(digest=current, texts=None)
            rows = await repository.texts(conn)
        return SpeechTextsReply(digest=current, texts=tuple(Sealed(text) for text in _fitting(rows)))


def _rankings(count: int, near: repository.Hits, worded: repository.Hits) -> list[Ranking]:
    return [
        Ranking(method.get(position, []), query_weight(position))
        for position in range(count)
        for method in (worded, near)
    ]


def _passage(found: repository.Found, score: float) -> Passage:
    return Passage(
        passage_id=found.id,
        document_id=found.document_id,
        document_name=Sealed(found.document_name),
        heading=Sealed(found.heading),
        text=Sealed(found.text),
        score=score,
        similarity=found.similarity,
    )


def _digest(state: Sequence[tuple[UUID, int]]) -> str:
    """Names a state of the index; the number in front is the form of the texts."""
    lines = "".join(f"{document.hex} {revision}\n" for document, revision in state)
    return hashlib.sha256(f"1\n{lines}".encode()).hexdigest()


def _fitting(rows: Sequence[tuple[str, str]]) -> list[str]:
    """As many texts as fit, from the start; a very large library loses its newest pages from the ear's vocabulary."""
    chosen: list[str] = []
    size = 0
    for heading, text in rows:
        whole = f"{heading}\n{text}" if heading else text
        size += len(whole.encode()) + 60  # nonce, tag, base64 padding and JSON around each
        if size > MAX_SPEECH_BYTES:
            break
        chosen.append(whole)
    return chosen
