"""Searches of a live call while a copy of rag-svc has died with one in hand."""

from __future__ import annotations

import asyncio
import uuid

import pytest
from fleet.bus_fixtures import BusServer
from switchboard.bus import Bus, Call
from switchboard.contracts.base import Service
from switchboard.contracts.documents import SEARCH, Passage, Search, SearchReply, SearchTimings
from switchboard.errors import DeadlineExceeded, Unavailable
from switchboard.sealed import Sealed
from voice_agent.adapters.bus_retriever import BusRetriever

pytestmark = pytest.mark.integration

PASSAGE = Passage(
    passage_id=uuid.UUID(int=1),
    document_id=uuid.UUID(int=2),
    document_name=Sealed("Price list"),
    heading=Sealed(""),
    text=Sealed("A cleaning costs 80 dollars."),
    score=1.0,
    similarity=0.9,
)


class RagSvc:
    """The first ``dead`` requests are never answered, as if their copy had died; later ones fail, or are answered."""

    def __init__(self, dead: int, failure: Exception | None = None) -> None:
        self.dead, self.failure = dead, failure
        self.asked = 0

    async def search(self, body: Search, call: Call) -> SearchReply:
        self.asked += 1
        if self.asked <= self.dead:
            await asyncio.get_running_loop().create_future()
        if self.failure is not None:
            raise self.failure
        return SearchReply(passages=(PASSAGE,), timings=SearchTimings.model_validate(dict.fromkeys(FIELDS, 0.0)))


FIELDS = tuple(SearchTimings.model_fields)


async def retriever(bus_server: BusServer, rag: RagSvc) -> BusRetriever:
    tenant_svc = await bus_server.connect(Service.TENANT_SVC)
    tenant_id = tenant_svc.ids.new()
    await tenant_svc.keyring.publish(tenant_id, tenant_svc.keyring.create(tenant_id))
    served: Bus = await bus_server.connect(Service.RAG_SVC)
    await served.serve(SEARCH, rag.search)
    await served.flush()
    return BusRetriever(await bus_server.connect(Service.VOICE_AGENT), tenant_id)


async def test_a_search_that_is_answered_is_made_once(bus_server: BusServer) -> None:
    rag = RagSvc(dead=0)
    found = await (await retriever(bus_server, rag)).search(["how much is a cleaning"])
    assert ([source.text for source in found.sources], rag.asked) == ([str(PASSAGE.text)], 1)


async def test_a_search_that_died_with_its_copy_is_answered_by_another(bus_server: BusServer) -> None:
    rag = RagSvc(dead=1)
    found = await (await retriever(bus_server, rag)).search(["how much is a cleaning"])
    assert ([source.text for source in found.sources], rag.asked) == ([str(PASSAGE.text)], 2)


async def test_a_search_that_nobody_answers_ends_with_its_deadline(bus_server: BusServer) -> None:
    rag = RagSvc(dead=2)
    with pytest.raises(DeadlineExceeded):
        await (await retriever(bus_server, rag)).search(["how much is a cleaning"])
    assert rag.asked == 2


async def test_a_search_that_fails_is_not_made_again(bus_server: BusServer) -> None:
    rag = RagSvc(dead=0, failure=Unavailable("no"))
    with pytest.raises(Unavailable, match="no"):
        await (await retriever(bus_server, rag)).search(["how much is a cleaning"])
    assert rag.asked == 1
