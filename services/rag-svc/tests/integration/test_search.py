from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from rag_svc.documents.service import Documents
from rag_svc.search import service as search_service
from rag_svc.search.service import Retrieval
from rag_svc.testing import register
from switchboard.contracts.documents import Chunk, IndexChunks, Search, SearchReply
from switchboard.sealed import Sealed

pytestmark = pytest.mark.integration

ROWS = [
    "Treatment: Velora peel | Duration: 45 min | Price: $129",
    "Treatment: Velora deep peel | Duration: 60 min | Price: $189",
    "Treatment: Brow lift | Duration: 20 min | Price: $45",
    "Treatment: Hydra glow | Duration: 50 min | Price: $160",
]


async def indexed(documents: Documents, embedder: Any, tenant: UUID, texts: list[str], model: str = "words") -> UUID:
    document = await register(documents, tenant)
    chunks = tuple(
        Chunk(
            ordinal=at,
            heading=Sealed("Facials"),
            text=Sealed(text),
            vector=tuple(float(value) for value in embedder.one(text)),
        )
        for at, text in enumerate(texts)
    )
    await documents.index(
        tenant, IndexChunks(document_id=document, revision=1, model=model, chunks=chunks, first=0, last=True)
    )
    return document


async def ask(retrieval: Retrieval, tenant: UUID, *queries: str, limit: int = 5) -> SearchReply:
    return await retrieval.search(tenant, Search(queries=tuple(Sealed(query) for query in queries), limit=limit))


async def test_a_row_is_found_by_the_words_that_tell_it_from_the_others(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    document = await indexed(documents, embedder, tenant, ROWS)

    reply = await ask(retrieval, tenant, "what is the price of the brow lift treatment", limit=2)

    best = reply.passages[0]
    assert (str(best.text), str(best.heading), str(best.document_name)) == (ROWS[2], "Facials", "prices.pdf")
    assert best.document_id == document and len(reply.passages) == 2
    assert best.score > reply.passages[1].score
    assert reply.timings.embed_ms >= 0 and reply.timings.query_ms > 0


async def test_other_ways_it_may_have_been_said_add_passages_and_the_best_similarity_is_given(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    await indexed(documents, embedder, tenant, ROWS)

    alone = await ask(retrieval, tenant, "hydro flow", limit=4)
    both = await ask(retrieval, tenant, "hydro flow", "hydra glow", limit=4)

    similarity = {str(passage.text): passage.similarity for passage in alone.passages}
    assert str(both.passages[0].text) == ROWS[3]
    assert both.passages[0].similarity > similarity[ROWS[3]]
    assert all(-1.001 <= passage.similarity <= 1.001 for passage in both.passages)


@pytest.mark.parametrize(
    "query", ["'", "\\", "a' | 'b", "peel & !", ":*", "' OR true --", "\u0000".strip("\u0000") + "…", "   ", "的"]
)
async def test_no_query_breaks_the_search(
    documents: Documents, retrieval: Retrieval, embedder: Any, query: str
) -> None:
    tenant = uuid4()
    await indexed(documents, embedder, tenant, ["It's a \\ 'quoted' peel & more"])

    reply = await ask(retrieval, tenant, query)

    assert len(reply.passages) == 1


async def test_vectors_of_another_model_are_not_compared(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    await indexed(documents, embedder, tenant, ROWS[:1], model="another")

    by_vector = await ask(retrieval, tenant, "45")
    by_words = await ask(retrieval, tenant, "velora")

    assert [passage.similarity for passage in by_words.passages] == [0.0]
    assert len(by_vector.passages) == 1  # "45" is one of its words
    assert (await ask(retrieval, tenant, "nothing like it")).passages == ()


async def test_speech_texts_come_once_per_state_of_the_index(
    documents: Documents, retrieval: Retrieval, embedder: Any
) -> None:
    tenant = uuid4()
    await indexed(documents, embedder, tenant, ROWS[:2])

    first = await retrieval.speech_texts(tenant, "")
    same = await retrieval.speech_texts(tenant, first.digest)
    await indexed(documents, embedder, tenant, ROWS[2:])
    after = await retrieval.speech_texts(tenant, first.digest)

    assert [str(text) for text in first.texts or ()] == [f"Facials\n{row}" for row in ROWS[:2]]
    assert same.texts is None and same.digest == first.digest
    assert after.digest != first.digest and len(after.texts or ()) == 4


async def test_speech_texts_stay_below_what_a_message_may_hold(
    documents: Documents, retrieval: Retrieval, embedder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = uuid4()
    await indexed(documents, embedder, tenant, ROWS)
    monkeypatch.setattr(search_service, "MAX_SPEECH_BYTES", 300)

    assert len((await retrieval.speech_texts(tenant, "")).texts or ()) == 2
