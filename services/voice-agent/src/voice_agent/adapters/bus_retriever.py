"""Retrieval through rag-svc: one request on the bus, with the turn's deadline, and a second one beside it when it is late."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

from switchboard.bus import Bus
from switchboard.contracts.documents import SEARCH, Search, SearchReply
from switchboard.sealed import Sealed

from voice_agent.conversation.models import Found, Source

LIMIT = 6

LATE_S = 0.9
"""A search takes some hundredths of a second, with a provider's embeddings at most 0.8 s. What has not come by then may have
been in the hands of a copy that died: another one is asked while there is time."""


class BusRetriever:
    def __init__(self, bus: Bus, tenant_id: UUID) -> None:
        self._bus = bus
        self._tenant_id = tenant_id

    async def search(self, queries: Sequence[str]) -> Found:
        """The fused passages for all ``queries`` (1..5), best first."""
        wanted = Search(queries=tuple(Sealed(query) for query in queries), limit=LIMIT)
        reply = await self._first_answer(wanted)
        sources = tuple(
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
        return Found(sources=sources, faults=reply.faults)

    async def _first_answer(self, wanted: Search) -> SearchReply:
        """Of at most two requests, within the deadline of one."""
        tasks = {asyncio.create_task(self._ask(wanted, SEARCH.deadline), name="search")}
        try:
            done, pending = await asyncio.wait(tasks, timeout=LATE_S)
            if not done:
                again = asyncio.create_task(self._ask(wanted, SEARCH.deadline - LATE_S), name="search again")
                tasks.add(again)
                pending = set(tasks)
            while pending and not any(task.exception() is None for task in done):
                more, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                done |= more
            answered = [task for task in done if task.exception() is None]
            return (answered or list(done))[0].result()
        finally:
            for task in tasks:
                task.cancel()

    async def _ask(self, wanted: Search, seconds: float) -> SearchReply:
        return await self._bus.request(SEARCH, wanted, tenant_id=self._tenant_id, timeout=seconds)
