"""One document's way: bytes -> blocks -> chunks -> vectors -> index, with a fact at each stage.

Everything that is sent follows from the delivery alone (progress facts have ids derived from it, batches are numbered), so
the same delivery again, after a crash at any point, changes nothing that is already right.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID, uuid5

import structlog
from switchboard.blobs import Blobs, parse_key
from switchboard.bus import Delivery
from switchboard.bus.consumer import RETRY_DELAYS
from switchboard.clock import Clock
from switchboard.contracts.base import Contract, Fact, Rpc
from switchboard.contracts.documents import (
    INDEX,
    Chunk,
    DocumentProgress,
    DocumentStatus,
    DocumentUploaded,
    IndexChunks,
)
from switchboard.embeddings import Embedders, EmbeddingFailed
from switchboard.errors import Conflict, InvalidInput, NotFound, TooLarge
from switchboard.sealed import Cipher, Sealed, SealError

from ingest_worker.chunking.chunker import Draft, chunk
from ingest_worker.parsing.problems import (
    CHANGED,
    EMPTY,
    GONE,
    OUR_FAULT,
    TOO_COMPLICATED,
    Unreadable,
    too_many_pieces,
)
from ingest_worker.parsing.sandbox import Parser, ParserTimedOut

_log = structlog.get_logger(__name__)

BATCH = 32
BLOB_PURPOSE = "blob"
EMBED_DEADLINE_S = 10.0
"""For the vectors of one batch: nobody waits on the telephone."""

PATIENT_ATTEMPTS = 4
"""The delivery, some seconds after the first one, at which a provider that is away is done without."""

LAST_ATTEMPT = len(RETRY_DELAYS) + 1
"""The delivery after which the bus gives up."""

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)


class Wire(Protocol):
    """The part of the bus that ingestion uses."""

    async def publish_fact(self, fact: Fact, message_id: UUID | None = None) -> None: ...

    async def request(self, spec: Rpc[RequestT, ReplyT], body: RequestT, *, tenant_id: UUID | None) -> ReplyT: ...


@dataclass(frozen=True, slots=True)
class Resources:
    """What ingestion works with. ``cipher`` gives a tenant's key."""

    wire: Wire
    cipher: Callable[[UUID], Awaitable[Cipher]]
    blobs: Blobs
    parser: Parser
    embedders: Embedders
    clock: Clock


class Ingestion:
    """Handles :class:`DocumentUploaded`; ``parallel`` documents at once, at most ``max_chunks`` chunks each."""

    def __init__(self, resources: Resources, *, parallel: int, max_chunks: int) -> None:
        self._with = resources
        self._max_chunks = max_chunks
        self._turn = asyncio.Semaphore(parallel)

    async def uploaded(self, fact: DocumentUploaded, delivery: Delivery) -> None:
        """Ingest; returns when the document is indexed, has failed for good, or is no longer wanted.

        Raises what may pass (bus or store away), to be delivered again.
        """
        async with self._turn:
            with structlog.contextvars.bound_contextvars(document_id=fact.document_id.hex, revision=fact.revision):
                try:
                    await self._ingest(fact, delivery)
                except Unreadable as error:
                    _log.info("document not taken", attempt=delivery.attempt)
                    await self._progress(fact, delivery, DocumentStatus.FAILED, str(error))
                except (NotFound, Conflict) as error:
                    _log.info("ingestion not wanted any more", reason=error.code)
                except Exception as error:
                    if isinstance(error, InvalidInput) or delivery.attempt >= LAST_ATTEMPT:
                        await self._progress(fact, delivery, DocumentStatus.FAILED, OUR_FAULT)
                    raise

    async def _ingest(self, fact: DocumentUploaded, delivery: Delivery) -> None:
        await self._progress(fact, delivery, DocumentStatus.PARSING)
        data = await self._read(fact)
        drafts = await self._parse(fact, data, delivery)
        await self._progress(fact, delivery, DocumentStatus.EMBEDDING)
        space = self._with.embedders.space(fact.embeddings)
        try:
            await self._index(fact, drafts, space)
        except EmbeddingFailed as failure:
            if failure.may_pass and delivery.attempt < PATIENT_ATTEMPTS:
                raise
            # A document that can be found is worth more than the provider's vectors; rag-svc has it done again later.
            _log.warning("embedded offline instead", endpoint=failure.endpoint, fault=failure.fault)
            await self._index(fact, drafts, self._with.embedders.offline)
        _log.info("document ingested", chunks=len(drafts))

    async def _read(self, fact: DocumentUploaded) -> bytes:
        """The uploaded bytes, opened and compared with what was registered."""
        try:
            key = parse_key(fact.blob_key, fact.tenant_id)
            sealed = await self._with.blobs.get(key)
        except (NotFound, InvalidInput):
            raise Unreadable(GONE) from None
        except TooLarge:
            raise Unreadable(TOO_COMPLICATED) from None
        cipher = await self._with.cipher(fact.tenant_id)
        try:
            data = cipher.open(sealed, BLOB_PURPOSE)
        except SealError:
            raise Unreadable(CHANGED) from None
        if hashlib.sha256(data).hexdigest() != fact.sha256:
            raise Unreadable(CHANGED)
        return data

    async def _parse(self, fact: DocumentUploaded, data: bytes, delivery: Delivery) -> list[Draft]:
        try:
            blocks = await self._with.parser.parse(fact.media_type, data)
        except ParserTimedOut:
            if delivery.attempt == 1:
                raise
            raise Unreadable(TOO_COMPLICATED) from None
        drafts = chunk(blocks)
        if not drafts:
            raise Unreadable(EMPTY)
        if len(drafts) > self._max_chunks:
            raise Unreadable(too_many_pieces(self._max_chunks))
        return drafts

    async def _index(self, fact: DocumentUploaded, drafts: Sequence[Draft], space: str) -> None:
        """All of it in one space: batches that an earlier try left in another one are written over."""
        for first in range(0, len(drafts), BATCH):
            last = first + BATCH >= len(drafts)
            await self._index_batch(fact, drafts[first : first + BATCH], space, first, last=last)

    async def _index_batch(
        self, fact: DocumentUploaded, drafts: Sequence[Draft], space: str, first: int, *, last: bool
    ) -> None:
        texts = [draft.embedded for draft in drafts]
        vectors = await self._with.embedders.embed(space, texts, EMBED_DEADLINE_S)
        chunks = tuple(
            Chunk(
                ordinal=first + at,
                heading=Sealed(draft.heading),
                text=Sealed(draft.text),
                # Six digits keep a cosine right to five and make the message half as long.
                vector=tuple(round(float(value), 6) for value in vector),
            )
            for at, (draft, vector) in enumerate(zip(drafts, vectors, strict=True))
        )
        batch = IndexChunks(
            document_id=fact.document_id,
            revision=fact.revision,
            model=space,
            chunks=chunks,
            first=first,
            last=last,
        )
        await self._with.wire.request(INDEX, batch, tenant_id=fact.tenant_id)

    async def _progress(
        self, fact: DocumentUploaded, delivery: Delivery, status: DocumentStatus, reason: str | None = None
    ) -> None:
        """Tell where the ingestion is. The id follows from delivery and status: told again, it is the same message."""
        news = DocumentProgress(
            tenant_id=fact.tenant_id,
            document_id=fact.document_id,
            at=self._with.clock.now(),
            revision=fact.revision,
            status=status,
            reason=reason,
        )
        await self._with.wire.publish_fact(news, uuid5(delivery.message_id, status.value))
