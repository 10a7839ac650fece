"""Retrieval: meaning and words, fused; and the texts that the offline ear learns its words from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
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
from switchboard.contracts.providers import ProviderFault
from switchboard.db import Database
from switchboard.embeddings import Embedders, EmbeddingFailed, endpoint_of
from switchboard.sealed import Sealed

from rag_svc.embedding.models import Choices
from rag_svc.embedding.resting import Resting
from rag_svc.search import repository
from rag_svc.search.fusion import Ranking, fuse, query_weight

CANDIDATES = 20
"""How deep each ranking goes before they are fused."""

REST_S = 5.0
"""For which a provider that has failed a query is not asked again."""

RESERVE_S = 0.25
"""Kept of a request's time for the database, whatever a provider takes."""

MAX_SPEECH_BYTES = 400_000
"""Texts of one reply: sealed and in base64 they must fit into one message of the bus."""


class Retrieval:
    """Every method takes the tenant that the caller has been checked for."""

    def __init__(
        self, db: Database, embedders: Embedders, choices: Choices, clock: Clock, *, rest_s: float = REST_S
    ) -> None:
        self._resting = Resting(clock, rest_s)
        self._db = db
        self._embedders = embedders
        self._choices = choices
        self._clock = clock

    async def search(self, tenant_id: UUID, body: Search, deadline: datetime | None = None) -> SearchReply:
        """The passages that best answer what the caller may have said, best first, by ``deadline``.

        A query is embedded in each space that the tenant's documents are in. Where a provider does not do so in time, its
        documents are found by their words alone, and the reply names it among its faults.
        """
        queries = list(dict.fromkeys(" ".join(query.split()) for query in body.queries))
        # Not one transaction with the queries below: a provider is not waited for with a connection in hand. A document
        # that moves to another space in between is found by its words this once.
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            spaces = await repository.spaces(conn)
        started = self._clock.monotonic()
        vectors, faults = await self._embedded(tenant_id, spaces, queries, deadline)
        embedded = self._clock.monotonic()
        depth = max(CANDIDATES, body.limit)
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            near = [await repository.nearest(conn, members, space, depth) for space, members in vectors.items()]
            worded = await repository.by_words(conn, queries, depth)
            best = fuse(_rankings(len(queries), worded, near), body.limit)
            found = await repository.passages(conn, [identifier for identifier, _ in best], vectors)
        ended = self._clock.monotonic()
        timings = SearchTimings(embed_ms=(embedded - started) * 1000, query_ms=(ended - embedded) * 1000)
        return SearchReply(
            passages=tuple(_passage(found[identifier], score) for identifier, score in best),
            timings=timings,
            faults=tuple(faults),
        )

    async def _embedded(
        self, tenant_id: UUID, spaces: Sequence[str], queries: Sequence[str], deadline: datetime | None
    ) -> tuple[dict[str, list[Vector]], list[ProviderFault]]:
        """The queries' vectors by space, without the spaces whose provider failed."""
        left = None if deadline is None else (deadline - self._clock.now()).total_seconds() - RESERVE_S

        async def one(space: str) -> list[Vector] | ProviderFault:
            own = self._choices.deadline_s(tenant_id, space)
            seconds = own if left is None else min(own, left)
            # That this request has no time left is not the provider's fault, and no reason to let it rest.
            skipped = "timeout" if seconds <= 0 and space != self._embedders.offline else self._resting.fault(space)
            if skipped is not None:
                return ProviderFault(stage="embeddings", endpoint=endpoint_of(space), fault=skipped)
            try:
                made = await self._embedders.embed(space, queries, seconds)
            except EmbeddingFailed as failure:
                self._resting.failed(space, failure.fault)
                return ProviderFault(stage="embeddings", endpoint=failure.endpoint, fault=failure.fault)
            self._resting.answered(space)
            return [Vector(vector) for vector in made]

        found = dict(zip(spaces, await asyncio.gather(*(one(space) for space in spaces)), strict=True))
        vectors = {space: made for space, made in found.items() if not isinstance(made, ProviderFault)}
        return vectors, [made for made in found.values() if isinstance(made, ProviderFault)]

    async def speech_texts(self, tenant_id: UUID, digest: str) -> SpeechTextsReply:
        """One text per chunk: its heading on a line, then what it says. ``None`` when the asker's are still right."""
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            current = _digest(await repository.state(conn))
            if digest == current:
                return SpeechTextsReply(digest=current, texts=None)
            rows = await repository.texts(conn)
        return SpeechTextsReply(digest=current, texts=tuple(Sealed(text) for text in _fitting(rows)))


def _rankings(count: int, worded: repository.Hits, near: Sequence[repository.Hits]) -> list[Ranking]:
    """By words, and by the vectors of each space: only places are fused, so no space is measured by another's cosines."""
    return [
        Ranking(method.get(position, []), query_weight(position))
        for position in range(count)
        for method in (worded, *near)
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
