"""Retrieval: meaning and words, fused; and the texts that the offline ear learns its words from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
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
from switchboard.db import Connection, Database
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
        self._spaces: dict[UUID, list[str]] = {}

    async def search(self, tenant_id: UUID, body: Search, deadline: datetime | None = None) -> SearchReply:
        """The passages that best answer what the caller may have said, best first, by ``deadline``.

        A query is embedded in each space that the tenant's documents are in. Where a provider does not do so in time, its
        documents are found by their words alone, and the reply names it among its faults.
        """
        queries = list(dict.fromkeys(" ".join(query.split()) for query in body.queries))
        embedded: dict[str, list[Vector] | ProviderFault] = {}
        spaces = self._likely_spaces(tenant_id)
        passages: tuple[Passage, ...] | None = None
        began, embed_s = self._clock.monotonic(), 0.0
        while passages is None:
            started = self._clock.monotonic()
            missing = [space for space in spaces if space not in embedded]
            embedded |= await self._embedded(tenant_id, missing, queries, deadline)
            embed_s += self._clock.monotonic() - started
            # Everything is read in one state of the index. Where that is in a space that was not thought of, the queries are
            # embedded in it first, and not with a connection in hand: a provider takes its time.
            async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
                spaces = await repository.spaces(conn)
                if embedded.keys() >= set(spaces):
                    vectors = {space: made for space in spaces if isinstance(made := embedded[space], list)}
                    passages = await _found(conn, queries, vectors, body.limit)
        self._spaces[tenant_id] = spaces
        query_s = self._clock.monotonic() - began - embed_s
        return SearchReply(
            passages=passages,
            timings=SearchTimings(embed_ms=embed_s * 1000, query_ms=query_s * 1000),
            faults=tuple(made for space in spaces if isinstance(made := embedded[space], ProviderFault)),
        )

    def _likely_spaces(self, tenant_id: UUID) -> list[str]:
        """Where the tenant's documents were at its last search, without a provider that it has left since."""
        allowed = (self._embedders.offline, self._choices.chosen(tenant_id)[1])
        return [space for space in self._spaces.get(tenant_id, ()) if space in allowed]

    async def _embedded(
        self, tenant_id: UUID, spaces: Sequence[str], queries: Sequence[str], deadline: datetime | None
    ) -> dict[str, list[Vector] | ProviderFault]:
        """The queries' vectors by space, or why there are none."""
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

        return dict(zip(spaces, await asyncio.gather(*(one(space) for space in spaces)), strict=True))

    async def speech_texts(self, tenant_id: UUID, digest: str) -> SpeechTextsReply:
        """One text per chunk: its heading on a line, then what it says. ``None`` when the asker's are still right."""
        async with self._db.tenant(tenant_id, isolation="repeatable_read", readonly=True) as conn:
            current = _digest(await repository.state(conn))
            if digest == current:
                return SpeechTextsReply(digest=current, texts=None)
            rows = await repository.texts(conn)
        return SpeechTextsReply(digest=current, texts=tuple(Sealed(text) for text in _fitting(rows)))


async def _found(
    conn: Connection, queries: Sequence[str], vectors: Mapping[str, Sequence[Vector]], limit: int
) -> tuple[Passage, ...]:
    """Best first. ``vectors``: the queries' by space."""
    depth = max(CANDIDATES, limit)
    near = [await repository.nearest(conn, members, space, depth) for space, members in vectors.items()]
    worded = await repository.by_words(conn, queries, depth)
    best = fuse(_rankings(len(queries), worded, near), limit)
    found = await repository.passages(conn, [identifier for identifier, _ in best], vectors)
    return tuple(_passage(found[identifier], score) for identifier, score in best)


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
