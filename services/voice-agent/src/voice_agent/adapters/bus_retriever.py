"""Retrieval through rag-svc: one request on the bus, with the turn's deadline."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from switchboard.bus import Bus
from switchboard.contracts.documents import SEARCH, Search
from switchboard.sealed import Sealed

from voice_agent.conversation.models import Source

LIMIT = 6


class BusRetriever:
    def __init__(self, bus: Bus, tenant_id: UUID) -> None:
        self._bus = bus
        self._tenant_id = tenant_id

    async def search(self, queries: Sequence[str]) -> tuple[Source, ...]:
        """The fused passages for all ``queries`` (1..5), best first."""
        wanted = Search(queries=tuple(Sealed(query) for query in queries), limit=LIMIT)
        reply = await self._bus.request(SEARCH, wanted, tenant_id=self._tenant_id)
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
