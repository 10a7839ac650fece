from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from ingest_worker.documents.pipeline import LAST_ATTEMPT, PATIENT_ATTEMPTS, Ingestion, Resources
from ingest_worker.parsing.blocks import Block, Paragraph, Table
from ingest_worker.parsing.problems import CHANGED, GONE, OUR_FAULT, TOO_COMPLICATED, Unreadable
from ingest_worker.parsing.sandbox import Parser, ParserTimedOut
from switchboard.blobs import Blobs, key
from switchboard.bus import Delivery
from switchboard.clock import ManualClock
from switchboard.contracts.base import Empty, Fact
from switchboard.contracts.documents import DocumentProgress, DocumentUploaded, IndexChunks
from switchboard.contracts.providers import ProviderChoice
from switchboard.embeddings import Embedders, EmbeddingFailed, Vector
from switchboard.embeddings.openai import OpenAiEmbeddings
from switchboard.errors import Conflict, InvalidInput, NotFound, Unavailable
from switchboard.sealed import DataKey, Sealed
from switchboard.settings import BlobSettings

pytestmark = pytest.mark.unit

TENANT, DOCUMENT = uuid4(), uuid4()
AT = datetime(2026, 1, 1, tzinfo=UTC)
DATA = b"whatever the parser is given"
TABLE = Table(("Treatment", "Price"), tuple((f"Treatment {at}", f"${at}") for at in range(70)))


class Wire:
    """Records what is sent; ``failing`` is raised by the next requests."""

    def __init__(self) -> None:
        self.facts: list[tuple[UUID | None, str, str | None]] = []
        self.batches: list[IndexChunks] = []
        self.failing: list[Exception] = []

    async def publish_fact(self, fact: Fact, message_id: UUID | None = None) -> None:
        assert isinstance(fact, DocumentProgress)
        self.facts.append((message_id, fact.status.value, fact.reason))

    async def request(self, spec: Any, body: Any, *, tenant_id: UUID | None) -> Any:
        assert tenant_id == TENANT
        if self.failing:
            raise self.failing.pop(0)
        self.batches.append(body)
        return Empty()

    @property
    def last(self) -> tuple[str, str | None]:
        return self.facts[-1][1:]


class Ones:
    model = "ones"
    dimensions = 384

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [np.full(384, 384**-0.5, dtype=np.float32) for _ in texts]


class Provider(OpenAiEmbeddings):
    """Gives vectors until ``failing`` is raised by the call of that number, from 1."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.failing: dict[int, EmbeddingFailed] = {}

    async def embed(self, model: str, texts: Sequence[str], deadline_s: float) -> list[Vector]:
        self.asked.append((model, len(texts)))
        if len(self.asked) in self.failing:
            raise self.failing[len(self.asked)]
        return [np.eye(1, 384, dtype=np.float32)[0] for _ in texts]


class Parsed(Parser):
    """Gives these blocks, or raises this."""

    outcome: Sequence[Block] | Exception = (TABLE,)

    async def parse(self, media_type: str, data: bytes) -> list[Block]:
        assert data == DATA
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return list(self.outcome)


class Setting:
    def __init__(self, folder: Path) -> None:
        self.wire = Wire()
        self.blobs = Blobs.open(BlobSettings(url=folder.as_uri()))
        self.data_key = DataKey(os.urandom(32), "owner")
        self.parser = Parsed()
        self.provider = Provider()
        embedders = Embedders(Ones(), {"main": self.provider})
        resources = Resources(self.wire, self.cipher, self.blobs, self.parser, embedders, ManualClock(AT))
        self.ingestion = Ingestion(resources, parallel=1, max_chunks=100)

    async def cipher(self, tenant_id: UUID) -> DataKey:
        return self.data_key

    async def store(self, data: bytes) -> None:
        await self.blobs.put(key(TENANT, "documents", DOCUMENT), self.data_key.seal(data, "blob"), replace=True)

    async def deliver(
        self,
        attempt: int = 1,
        *,
        message_id: UUID | None = None,
        blob: UUID = TENANT,
        embeddings: ProviderChoice | None = None,
    ) -> None:
        fact = DocumentUploaded.model_validate(
            {
                "tenant_id": TENANT,
                "document_id": DOCUMENT,
                "at": AT,
                "revision": 3,
                "name": Sealed("prices.pdf"),
                "media_type": "application/pdf",
                "blob_key": str(key(blob, "documents", DOCUMENT)),
                "sha256": hashlib.sha256(DATA).hexdigest(),
                "embeddings": embeddings,
            }
        )
        await self.ingestion.uploaded(fact, Delivery(message_id or uuid4(), attempt, fact.subject()))


@pytest.fixture
async def setting(tmp_path: Path) -> Setting:
    made = Setting(tmp_path / "blobs")
    await made.store(DATA)
    return made


async def test_chunks_go_in_numbered_batches_of_which_the_last_says_so(setting: Setting) -> None:
    await setting.deliver()

    assert [(batch.first, len(batch.chunks), batch.last) for batch in setting.wire.batches] == [
        (0, 32, False),
        (32, 32, False),
        (64, 6, True),
    ]
    assert {(batch.revision, batch.model) for batch in setting.wire.batches} == {(3, "ones")}
    assert [status for _, status, _ in setting.wire.facts] == ["parsing", "embedding"]


async def test_the_same_delivery_again_sends_the_same_messages(setting: Setting) -> None:
    message_id = uuid4()
    await setting.deliver(message_id=message_id)
    facts, batches = setting.wire.facts[:], setting.wire.batches[:]
    await setting.deliver(2, message_id=message_id)

    assert setting.wire.facts == facts * 2
    assert setting.wire.batches == batches * 2


MAIN = ProviderChoice(endpoint="main", model="small")
AWAY = EmbeddingFailed("main", "timeout", may_pass=True)
REFUSED = EmbeddingFailed("main", "refused", may_pass=False)


async def test_the_chosen_provider_embeds_and_every_batch_says_so(setting: Setting) -> None:
    await setting.deliver(embeddings=MAIN)

    assert setting.provider.asked == [("small", 32), ("small", 32), ("small", 6)]
    assert {batch.model for batch in setting.wire.batches} == {"main:small"}
    await setting.deliver()
    assert len(setting.provider.asked) == 3, "a tenant that has not chosen it sends it nothing"


async def test_a_provider_that_is_away_is_waited_for_and_then_done_without(setting: Setting) -> None:
    for attempt in range(1, PATIENT_ATTEMPTS):
        setting.provider.failing = {len(setting.provider.asked) + 1: AWAY}
        with pytest.raises(EmbeddingFailed):
            await setting.deliver(attempt, embeddings=MAIN)
        assert setting.wire.batches == []
        assert setting.wire.last == ("embedding", None)
    setting.provider.failing = {len(setting.provider.asked) + 1: AWAY}

    await setting.deliver(PATIENT_ATTEMPTS, embeddings=MAIN)

    assert [(batch.first, batch.model, batch.last) for batch in setting.wire.batches] == [
        (0, "ones", False),
        (32, "ones", False),
        (64, "ones", True),
    ]


async def test_a_provider_that_says_no_is_done_without_at_once_and_for_the_whole_document(setting: Setting) -> None:
    setting.provider.failing = {3: REFUSED}

    await setting.deliver(embeddings=MAIN)

    assert [(batch.first, batch.model, batch.last) for batch in setting.wire.batches] == [
        (0, "main:small", False),
        (32, "main:small", False),
        (0, "ones", False),
        (32, "ones", False),
        (64, "ones", True),
    ]


@pytest.mark.parametrize("error", [NotFound("forgotten"), Conflict("a newer ingestion")])
async def test_an_ingestion_that_nobody_wants_any_more_ends_quietly(setting: Setting, error: Exception) -> None:
    setting.wire.failing = [error]

    await setting.deliver()

    assert setting.wire.last == ("embedding", None) and setting.wire.batches == []


async def test_what_may_pass_is_raised_for_another_try_and_the_last_try_tells_the_clinic(setting: Setting) -> None:
    for attempt in range(1, LAST_ATTEMPT + 1):
        setting.wire.failing = [Unavailable("the index is away")]
        with pytest.raises(Unavailable):
            await setting.deliver(attempt)
        assert (setting.wire.last == ("failed", OUR_FAULT)) == (attempt == LAST_ATTEMPT)


async def test_what_can_never_work_is_told_at_once_and_goes_to_the_dead_letters(setting: Setting) -> None:
    setting.wire.failing = [InvalidInput("the batch is wrong")]

    with pytest.raises(InvalidInput):
        await setting.deliver()

    assert setting.wire.last == ("failed", OUR_FAULT)


async def test_an_unreadable_document_fails_with_its_reason_and_is_not_tried_again(setting: Setting) -> None:
    object.__setattr__(setting.parser, "outcome", Unreadable("A sentence for the clinic."))

    await setting.deliver()

    assert setting.wire.last == ("failed", "A sentence for the clinic.")


async def test_a_parser_that_is_late_gets_a_second_chance_only(setting: Setting) -> None:
    object.__setattr__(setting.parser, "outcome", ParserTimedOut("late"))

    with pytest.raises(ParserTimedOut):
        await setting.deliver(1)
    await setting.deliver(2)

    assert setting.wire.last == ("failed", TOO_COMPLICATED)


async def test_bytes_that_are_not_those_that_were_registered_are_refused(setting: Setting) -> None:
    await setting.store(b"other bytes")
    await setting.deliver()
    assert setting.wire.last == ("failed", CHANGED)

    await setting.blobs.put(key(TENANT, "documents", DOCUMENT), b"not sealed at all", replace=True)
    await setting.deliver()
    assert setting.wire.last == ("failed", CHANGED)


async def test_missing_bytes_and_another_tenants_bytes_are_gone(setting: Setting) -> None:
    await setting.deliver(blob=uuid4())
    assert setting.wire.last == ("failed", GONE)

    await setting.blobs.delete(key(TENANT, "documents", DOCUMENT))
    await setting.deliver()
    assert setting.wire.last == ("failed", GONE)


async def test_too_many_passages_and_none_fail_with_a_reason(setting: Setting) -> None:
    object.__setattr__(setting.parser, "outcome", [Table(TABLE.header, TABLE.rows * 2)])
    await setting.deliver()
    assert setting.wire.last[0] == "failed" and "more than 100" in (setting.wire.last[1] or "")

    object.__setattr__(setting.parser, "outcome", [Paragraph(" ")])
    await setting.deliver()
    assert setting.wire.last[0] == "failed" and "no text" in (setting.wire.last[1] or "")
