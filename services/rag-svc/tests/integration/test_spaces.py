"""Documents in the spaces that their tenants have chosen, and searches while they move or a provider is away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from pgvector import Vector
from rag_svc.documents.service import Documents
from rag_svc.embedding.handlers import PATIENT_TRIES, ConfigurationHandlers
from rag_svc.embedding.service import TRY_AGAIN_AFTER, Reembedding
from rag_svc.search import repository
from rag_svc.search.service import Retrieval
from rag_svc.testing import register
from switchboard.bus import Delivery
from switchboard.contracts.base import Page
from switchboard.contracts.documents import (
    Chunk,
    DocumentStatus,
    DocumentUploaded,
    IndexChunks,
    Search,
    SearchReply,
)
from switchboard.contracts.providers import ProviderChoice, ProviderFault
from switchboard.contracts.snapshot import TenantSnapshot
from switchboard.contracts.tenants import ConfigurationPublished
from switchboard.db import Database
from switchboard.errors import Unavailable
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

MAIN = ProviderChoice(endpoint="main", model="small")
SPACE = "main:small"
ROWS = ["Velora peel $129", "Brow lift $45"]


async def index(
    documents: Documents, tenant: UUID, document: UUID, embedder: Any, space: str, revision: int = 1
) -> None:
    """What ingest-worker sends."""
    chunks = tuple(
        Chunk(
            ordinal=at,
            heading=Sealed(""),
            text=Sealed(text),
            vector=tuple(float(value) for value in embedder.one(text)),
        )
        for at, text in enumerate(ROWS)
    )
    body = IndexChunks(document_id=document, revision=revision, model=space, chunks=chunks, first=0, last=True)
    await documents.index(tenant, body)


async def ask(retrieval: Retrieval, tenant: UUID, query: str, deadline: datetime | None = None) -> SearchReply:
    return await retrieval.search(tenant, Search(queries=(Sealed(query),)), deadline)


async def test_a_query_is_embedded_where_the_documents_are_and_nowhere_else(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any
) -> None:
    ours, theirs = uuid4(), uuid4()
    published.choose(ours, MAIN)
    await index(documents, ours, await register(documents, ours), provider.embedder, SPACE)
    await index(documents, theirs, await register(documents, theirs), embedder, "words")

    mine = await ask(retrieval, ours, "velora peel $129")
    assert provider.asked == [["velora peel $129"]]
    other = await ask(retrieval, theirs, "velora peel $129")

    assert len(provider.asked) == 1, "a tenant that has not chosen the provider sends it nothing"
    for reply in (mine, other):
        assert str(reply.passages[0].text) == ROWS[0]
        assert reply.passages[0].similarity > 0.99
        assert reply.faults == ()
    assert (await documents.page(ours, Page(limit=5)))[0][0].embeddings() == "main"
    assert (await documents.page(theirs, Page(limit=5)))[0][0].embeddings() == "offline"


async def test_documents_in_two_spaces_are_each_compared_in_their_own(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    moved, unmoved = await register(documents, tenant), await register(documents, tenant)
    await index(documents, tenant, moved, provider.embedder, SPACE)
    await index(documents, tenant, unmoved, embedder, "words")

    reply = await ask(retrieval, tenant, "velora peel $129")

    best = {passage.document_id: passage.similarity for passage in reply.passages if str(passage.text) == ROWS[0]}
    assert set(best) == {moved, unmoved}
    assert all(similarity > 0.99 for similarity in best.values()), "crossed spaces would be far apart"


async def test_a_space_that_was_not_thought_of_is_embedded_in_before_anything_is_found(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any
) -> None:
    """Where the documents were at the last search is a guess: they have been moved since, once more with each question."""
    tenant = uuid4()
    published.choose(tenant, MAIN)
    document = await register(documents, tenant)
    await index(documents, tenant, document, embedder, "words")
    await ask(retrieval, tenant, "velora peel $129")

    for revision, (model, space) in enumerate([(provider.embedder, SPACE), (embedder, "words")] * 2, 2):
        await documents.reingest(tenant, document)
        await index(documents, tenant, document, model, space, revision)
        reply = await ask(retrieval, tenant, "velora peel $129")
        assert reply.passages[0].similarity > 0.99 and reply.faults == ()


async def test_a_provider_that_a_tenant_has_left_is_not_asked_on_a_guess(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    document = await register(documents, tenant)
    await index(documents, tenant, document, provider.embedder, SPACE)
    await ask(retrieval, tenant, "velora peel $129")
    assert len(provider.asked) == 1

    published.choose(tenant, None)
    await documents.reingest(tenant, document)
    await index(documents, tenant, document, embedder, "words", revision=2)

    assert (await ask(retrieval, tenant, "velora peel $129")).passages[0].similarity > 0.99
    assert len(provider.asked) == 1


async def test_a_guess_that_failed_is_no_fault_of_a_search_that_does_not_need_it(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    document = await register(documents, tenant)
    await index(documents, tenant, document, provider.embedder, SPACE)
    await ask(retrieval, tenant, "velora peel $129")
    provider.failing = 401
    await documents.reingest(tenant, document)
    await index(documents, tenant, document, embedder, "words", revision=2)

    reply = await ask(retrieval, tenant, "velora peel $129")

    assert reply.passages[0].similarity > 0.99 and reply.faults == ()


async def test_a_vector_is_nothing_in_another_space(
    documents: Documents, retrieval: Retrieval, embedder: Any, provider: Any, published: Any, db: Database
) -> None:
    """A document whose offline vectors happen to lie where the provider puts the question is no nearer for that."""
    tenant, query = uuid4(), "hydra glow"

    class Trap:
        def one(self, text: str) -> Any:
            return provider.embedder.one(query)

    published.choose(tenant, MAIN)
    moved, trap = await register(documents, tenant), await register(documents, tenant)
    await index(documents, tenant, moved, provider.embedder, SPACE)
    await index(documents, tenant, trap, Trap(), "words")

    reply = await ask(retrieval, tenant, query)
    async with db.tenant(tenant) as conn:
        near = await repository.nearest(conn, [Vector(provider.embedder.one(query))], SPACE, 20)
        rows = await conn.fetch("SELECT id FROM knowledge.chunks WHERE document_id = $1", moved)

    assert {passage.document_id for passage in reply.passages} == {moved, trap}
    assert all(passage.similarity < 0.5 for passage in reply.passages)
    assert {identifier for identifier, _ in [hit for hits in near.values() for hit in hits]} == {
        row["id"] for row in rows
    }


@pytest.mark.parametrize(
    ("failing", "fault", "tries"),
    [
        (429, "rate_limited", 2),
        (500, "refused", 2),
        (401, "refused", 1),
        (httpx.ConnectError("no"), "refused", 2),
        (httpx.ReadError("cut"), "reset", 2),
    ],
)
async def test_words_alone_find_what_a_failing_provider_does_not(
    documents: Documents,
    retrieval: Retrieval,
    provider: Any,
    published: Any,
    failing: int | Exception,
    fault: Any,
    tries: int,
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    await index(documents, tenant, await register(documents, tenant), provider.embedder, SPACE)
    provider.failing = failing

    reply = await ask(retrieval, tenant, "what is a brow lift")

    assert [str(passage.text) for passage in reply.passages] == [ROWS[1]]
    assert reply.faults == (ProviderFault(stage="embeddings", endpoint="main", fault=fault),)
    assert len(provider.asked) == tries
    provider.failing = None
    again = await ask(retrieval, tenant, "what is a brow lift")
    assert again.faults == reply.faults, "it is left alone for a while, and that is said too"
    assert len(provider.asked) == tries


async def test_a_provider_gets_no_more_time_than_the_request_has(
    documents: Documents, retrieval: Retrieval, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    await index(documents, tenant, await register(documents, tenant), provider.embedder, SPACE)

    reply = await ask(retrieval, tenant, "brow lift", datetime.now(UTC))

    assert provider.asked == []
    assert [fault.fault for fault in reply.faults] == ["timeout"]
    assert str(reply.passages[0].text) == ROWS[1]
    assert (await ask(retrieval, tenant, "brow lift")).faults == (), "no reason to leave the provider alone"


async def test_an_endpoint_that_operators_have_removed_is_named_and_searches_go_on(
    documents: Documents, retrieval: Retrieval, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, ProviderChoice(endpoint="gone"))
    await index(documents, tenant, await register(documents, tenant), provider.embedder, "gone:x")

    reply = await ask(retrieval, tenant, "brow lift")

    assert reply.faults == (ProviderFault(stage="embeddings", endpoint="gone", fault="refused"),)
    assert str(reply.passages[0].text) == ROWS[1]


async def test_an_upload_asks_for_the_space_of_what_is_published(
    documents: Documents, published: Any, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = uuid4(), uuid4()
    asked: list[ProviderChoice | None] = []
    encode = documents._encode

    async def spy(fact: Any) -> Any:
        if isinstance(fact, DocumentUploaded):
            asked.append(fact.embeddings)
        return await encode(fact)

    monkeypatch.setattr(documents, "_encode", spy)
    await register(documents, before)
    published.choose(after, MAIN)
    await register(documents, after)

    assert asked == [None, MAIN]


async def test_a_new_choice_has_every_document_ingested_once_and_the_old_vectors_serve_until_then(
    documents: Documents,
    retrieval: Retrieval,
    reembedding: Reembedding,
    embedder: Any,
    provider: Any,
    published: Any,
) -> None:
    tenant, other = uuid4(), uuid4()
    first, second = await register(documents, tenant), await register(documents, tenant)
    foreign = await register(documents, other)
    for document in (first, second):
        await index(documents, tenant, document, embedder, "words")
    await index(documents, other, foreign, embedder, "words")
    published.choose(tenant, MAIN)

    assert await reembedding.align(tenant) == 2
    assert await reembedding.align(tenant) == 0, "what has been asked for is not asked for again"

    pending = await documents.get(tenant, first)
    assert (pending.status, pending.revision, pending.indexed_revision) == (DocumentStatus.UPLOADED, 2, 1)
    assert (await documents.get(other, foreign)).revision == 1
    during = await ask(retrieval, tenant, "velora peel $129")
    assert provider.asked == [] and during.passages[0].similarity > 0.99

    await index(documents, tenant, first, provider.embedder, SPACE, revision=2)
    half = await ask(retrieval, tenant, "velora peel $129")
    assert provider.asked and half.passages[0].similarity > 0.99

    await index(documents, tenant, second, provider.embedder, SPACE, revision=2)
    assert await reembedding.align(tenant) == 0
    published.choose(tenant, None)
    assert await reembedding.align(tenant) == 2, "and back"


async def test_two_replicas_ask_once(documents: Documents, embedder: Any, published: Any) -> None:
    """Both have seen that the document is elsewhere; the second to come finds that it has been asked for."""
    tenant = uuid4()
    document = await register(documents, tenant)
    await index(documents, tenant, document, embedder, "words")
    published.choose(tenant, MAIN)
    now = datetime.now(UTC)
    assert await documents.misplaced(tenant, now) == [document]

    assert await documents.embed_again(tenant, document, now)
    assert not await documents.embed_again(tenant, document, now)
    assert (await documents.get(tenant, document)).revision == 2


async def test_the_sweep_offers_a_document_again_when_its_provider_answers_and_not_too_soon(
    documents: Documents, reembedding: Reembedding, embedder: Any, provider: Any, published: Any, db: Database
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    document = await register(documents, tenant)
    await index(documents, tenant, document, embedder, "words")  # the provider was away

    await reembedding.sweep()
    assert (await documents.get(tenant, document)).revision == 1
    assert provider.asked == [], "nothing to do, so nobody is asked"

    long_ago = datetime.now(UTC) - TRY_AGAIN_AFTER - timedelta(minutes=1)
    async with db.tenant(tenant) as conn:
        await conn.execute("UPDATE knowledge.documents SET updated_at = $1", long_ago)
    provider.failing = 500
    await reembedding.sweep()
    assert (await documents.get(tenant, document)).revision == 1, "still away"

    provider.failing = None
    await reembedding.sweep()
    assert (await documents.get(tenant, document)).revision == 2


async def test_the_sweep_finds_a_publication_that_was_missed(
    documents: Documents, reembedding: Reembedding, provider: Any, published: Any
) -> None:
    tenant = uuid4()
    published.choose(tenant, MAIN)
    document = await register(documents, tenant)
    await index(documents, tenant, document, provider.embedder, SPACE)

    published.choose(tenant, None)
    published.choose(uuid4(), MAIN)
    await reembedding.sweep()

    assert (await documents.get(tenant, document)).revision == 2


async def test_a_publication_waits_for_its_snapshot_and_not_for_ever(
    documents: Documents, reembedding: Reembedding, embedder: Any, published: Any
) -> None:
    tenant = uuid4()
    document = await register(documents, tenant)
    await index(documents, tenant, document, embedder, "words")
    published.choose(tenant, MAIN)
    there: list[TenantSnapshot | None] = [None, None, published.get(tenant)]
    wanted: list[tuple[UUID, int]] = []

    async def at_least(tenant_id: UUID, version: int, seconds: float) -> TenantSnapshot | None:
        wanted.append((tenant_id, version))
        return there.pop(0)

    handlers = ConfigurationHandlers(reembedding, at_least)
    fact = ConfigurationPublished(tenant_id=tenant, at=datetime.now(UTC), version=7)
    with pytest.raises(Unavailable):
        await handlers.published(fact, Delivery(uuid4(), 1, fact.subject()))
    await handlers.published(fact, Delivery(uuid4(), PATIENT_TRIES, fact.subject()))
    assert (await documents.get(tenant, document)).revision == 1

    await handlers.published(fact, Delivery(uuid4(), 1, fact.subject()))
    assert (await documents.get(tenant, document)).revision == 2
    assert set(wanted) == {(tenant, 7)}
