from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from rag_svc.documents.service import Documents
from rag_svc.erasers import STORES, erasers
from rag_svc.search.service import Retrieval
from rag_svc.testing import OWNER, registration
from switchboard.blobs import Blobs, key
from switchboard.contracts.base import Actor, Page, Terms
from switchboard.contracts.documents import (
    Chunk,
    DocumentProgress,
    DocumentStatus,
    IndexChunks,
    Search,
)
from switchboard.db import Database
from switchboard.errors import Conflict, InvalidInput, NotFound, Unavailable
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

OURS, THEIRS = uuid4(), uuid4()


def batch(
    embedder: Any, document_id: UUID, texts: list[str], *, first: int = 0, last: bool = True, revision: int = 1
) -> IndexChunks:
    chunks = tuple(
        Chunk(
            ordinal=first + at,
            heading=Sealed("Prices"),
            text=Sealed(text),
            vector=tuple(float(value) for value in embedder.one(text)),
        )
        for at, text in enumerate(texts)
    )
    return IndexChunks(
        document_id=document_id, revision=revision, model=embedder.model, chunks=chunks, first=first, last=last
    )


async def found(retrieval: Retrieval, tenant_id: UUID, *queries: str, limit: int = 5) -> list[str]:
    reply = await retrieval.search(tenant_id, Search(queries=tuple(Sealed(query) for query in queries), limit=limit))
    return [str(passage.text) for passage in reply.passages]


async def outbox(db: Database, tenant_id: UUID) -> list[bytes]:
    async with db.tenant(tenant_id) as conn:
        return [row["payload"] for row in await conn.fetch("SELECT payload FROM knowledge.outbox ORDER BY seq")]


async def test_a_registration_is_announced_once_and_repeating_it_changes_nothing(
    documents: Documents, db: Database
) -> None:
    tenant = uuid4()
    body = registration(tenant)

    first = await documents.register(tenant, body, OWNER)
    again = await documents.register(tenant, body, OWNER)

    assert first == again and first.status is DocumentStatus.UPLOADED
    assert await outbox(db, tenant) == [b"documents.uploaded/1", b"config.audited/1"]
    with pytest.raises(Conflict):
        await documents.register(tenant, registration(tenant, body.document_id, sha256="1" * 64), OWNER)


async def test_a_registration_under_a_key_is_made_once_though_it_comes_with_another_id(
    documents: Documents, db: Database
) -> None:
    tenant = uuid4()

    def asking(request: str) -> Actor:
        return OWNER.model_copy(update={"terms": Terms(key="monday", request=request * 64)})

    first = await documents.register(tenant, registration(tenant), asking("a"))
    again = await documents.register(tenant, registration(tenant), asking("a"))
    assert again == first
    assert await outbox(db, tenant) == [b"documents.uploaded/1", b"config.audited/1"]
    with pytest.raises(InvalidInput, match="another request"):
        await documents.register(tenant, registration(tenant), asking("b"))
    assert await documents.erase_tenant(tenant) == 4  # document, answer, two messages


async def test_a_blob_of_another_tenant_is_refused_by_name(documents: Documents) -> None:
    with pytest.raises(InvalidInput) as caught:
        await documents.register(OURS, registration(THEIRS), OWNER)
    assert caught.value.fields[0].pointer == "/blob_key"


async def test_an_index_shows_when_its_last_batch_is_in_and_repeated_batches_change_nothing(
    documents: Documents, retrieval: Retrieval, embedder: Any, db: Database
) -> None:
    tenant = uuid4()
    document = (await documents.register(tenant, registration(tenant), OWNER)).document_id
    first = batch(embedder, document, ["velora peel costs 129"], last=False)
    last = batch(embedder, document, ["brow lift costs 45"], first=1)

    await documents.index(tenant, first)
    await documents.index(tenant, first)
    assert await found(retrieval, tenant, "velora peel") == []
    await documents.index(tenant, last)
    once = await retrieval.search(tenant, Search(queries=(Sealed("velora peel"),)))
    await documents.index(tenant, first)
    await documents.index(tenant, last)
    again = await retrieval.search(tenant, Search(queries=(Sealed("velora peel"),)))

    assert [str(passage.text) for passage in once.passages] == ["velora peel costs 129", "brow lift costs 45"]
    assert once.passages == again.passages
    assert (await documents.get(tenant, document)).status is DocumentStatus.INDEXED
    assert (await outbox(db, tenant)).count(b"documents.indexed/1") == 1


async def test_a_last_batch_without_those_before_it_is_sent_back(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    document = (await documents.register(tenant, registration(tenant), OWNER)).document_id

    with pytest.raises(Unavailable, match="1 chunks before"):
        await documents.index(tenant, batch(embedder, document, ["brow lift"], first=1))

    assert await found(retrieval, tenant, "brow lift") == []


async def test_a_new_revision_replaces_the_old_one_at_once_and_a_stale_worker_is_refused(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    document = (await documents.register(tenant, registration(tenant), OWNER)).document_id
    await documents.index(tenant, batch(embedder, document, ["velora peel 129", "brow lift 45"]))

    assert (await documents.reingest(tenant, document)).revision == 2
    await documents.index(tenant, batch(embedder, document, ["velora peel 139"], last=False, revision=2))
    during = await found(retrieval, tenant, "velora peel", limit=1)
    with pytest.raises(Conflict):
        await documents.index(tenant, batch(embedder, document, ["velora peel 1"], revision=1))
    await documents.index(tenant, batch(embedder, document, ["wax 30"], first=1, revision=2))

    assert during == ["velora peel 129"]
    assert sorted(await found(retrieval, tenant, "velora peel")) == ["velora peel 139", "wax 30"]


async def test_one_tenant_never_sees_anothers(documents: Documents, retrieval: Retrieval, embedder: Any) -> None:
    ours, theirs = uuid4(), uuid4()
    document = (await documents.register(ours, registration(ours), OWNER)).document_id
    await documents.index(ours, batch(embedder, document, ["velora peel 129"]))

    assert await found(retrieval, theirs, "velora peel 129", "velora") == []
    assert (await retrieval.speech_texts(theirs, "")).texts == ()
    assert (await documents.page(theirs, Page()))[0] == []
    for forbidden in (documents.get, documents.reingest):
        with pytest.raises(NotFound):
            await forbidden(theirs, document)
    with pytest.raises(NotFound):
        await documents.forget(theirs, document, OWNER)
    with pytest.raises(NotFound):
        await documents.index(theirs, batch(embedder, document, ["changed"]))


async def test_forgetting_takes_bytes_and_chunks_along_and_is_audited(
    documents: Documents, retrieval: Retrieval, embedder: Any, blobs: Blobs, db: Database
) -> None:
    tenant = uuid4()
    body = registration(tenant)
    where = key(tenant, "documents", body.document_id)
    await blobs.put(where, b"bytes")
    await documents.register(tenant, body, OWNER)
    await documents.index(tenant, batch(embedder, body.document_id, ["velora peel 129"]))

    await documents.forget(tenant, body.document_id, OWNER)

    assert await found(retrieval, tenant, "velora peel") == []
    with pytest.raises(NotFound):
        await blobs.get(where)
    with pytest.raises(NotFound):
        await documents.get(tenant, body.document_id)
    assert (await outbox(db, tenant)).count(b"config.audited/1") == 2


async def test_progress_is_taken_once_and_only_forward(documents: Documents) -> None:
    tenant = uuid4()
    document = (await documents.register(tenant, registration(tenant), OWNER)).document_id

    async def tell(status: DocumentStatus, reason: str | None = None, message_id: UUID | None = None) -> str:
        fact = DocumentProgress.model_validate(
            {
                "tenant_id": tenant,
                "document_id": document,
                "at": datetime.now(UTC),
                "revision": 1,
                "status": status,
                "reason": reason,
            }
        )
        await documents.progress(fact, message_id or uuid4())
        return (await documents.get(tenant, document)).status.value

    same = uuid4()
    assert await tell(DocumentStatus.EMBEDDING, message_id=same) == "embedding"
    assert await tell(DocumentStatus.PARSING) == "embedding"
    assert await tell(DocumentStatus.FAILED, "no text", same) == "embedding"
    assert await tell(DocumentStatus.FAILED, "no text") == "failed"
    assert await tell(DocumentStatus.INDEXED) == "failed"
    assert (await documents.get(tenant, document)).reason == "no text"


async def test_pages_follow_each_other_newest_first(documents: Documents) -> None:
    tenant = uuid4()
    made = [(await documents.register(tenant, registration(tenant), OWNER)).document_id for _ in range(5)]

    seen: list[UUID] = []
    cursor: str | None = None
    while True:
        page, cursor = await documents.page(tenant, Page(limit=2, cursor=cursor))
        seen += [document.id for document in page]
        if cursor is None:
            break

    assert seen == made[::-1]


async def test_erasing_a_tenant_leaves_nothing_of_it_and_everything_of_others(
    documents: Documents, embedder: Any, blobs: Blobs, db: Database, migrated: Any
) -> None:
    ours, theirs = uuid4(), uuid4()
    for tenant in (ours, theirs):
        body = registration(tenant)
        await blobs.put(key(tenant, "documents", body.document_id), b"bytes")
        await documents.register(tenant, body, OWNER)
        await documents.index(tenant, batch(embedder, body.document_id, ["velora peel 129"]))

    made = erasers(documents, blobs)
    assert tuple(eraser.store for eraser in made) == STORES
    assert [await eraser.erase(ours) for eraser in made] == [4, 1]
    assert [await eraser.erase(ours) for eraser in made] == [0, 0]

    assert await outbox(db, ours) == [] and len(await outbox(db, theirs)) == 3
    assert len((await documents.page(theirs, Page()))[0]) == 1


@pytest.mark.parametrize("store", STORES)
async def test_each_eraser_erases_its_own_store_and_nothing_else(
    documents: Documents, embedder: Any, blobs: Blobs, store: str
) -> None:
    tenant = uuid4()
    body = registration(tenant)
    where = key(tenant, "documents", body.document_id)
    await blobs.put(where, b"bytes")
    await documents.register(tenant, body, OWNER)
    (eraser,) = (one for one in erasers(documents, blobs) if one.store == store)
    assert await eraser.erase(uuid4()) == 0
    assert await eraser.erase(tenant) > 0
    kept = {"postgres.knowledge": bool((await documents.page(tenant, Page()))[0]), "blobs": True}
    try:
        await blobs.get(where)
    except NotFound:
        kept["blobs"] = False
    assert kept == {name: name != store for name in STORES}
