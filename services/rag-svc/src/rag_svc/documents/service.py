"""Documents: registered, followed through ingestion, indexed, forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from uuid import UUID

import structlog
from switchboard.audit import Line, Resource, told
from switchboard.blobs import Blobs, parse_key
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, Fact, Page, Service
from switchboard.contracts.documents import (
    DocumentIndexed,
    DocumentList,
    DocumentProgress,
    DocumentUploaded,
    DocumentView,
    IndexChunks,
    RegisterDocument,
)
from switchboard.contracts.providers import ProviderChoice
from switchboard.db import Connection, Database
from switchboard.errors import Conflict, FieldProblem, InvalidInput, NotFound, Unavailable
from switchboard.ids import DocumentId, Ids, token
from switchboard.inbox import Inbox
from switchboard.outbox import Outbox, OutgoingMessage
from switchboard.repeats import Repeats
from switchboard.sealed import Sealed

from rag_svc.documents import repository
from rag_svc.documents.models import Document, cursor_after, read_cursor
from rag_svc.documents.repository import StatusCount
from rag_svc.embedding.models import Choices

_log = structlog.get_logger(__name__)

CONSUMER = "rag-documents"

Encode = Callable[[Fact], Awaitable[OutgoingMessage]]
"""A fact as a message for the outbox (the bus's ``encode``)."""


class Documents:
    """Every method takes the tenant that the caller has been checked for."""

    def __init__(
        self, db: Database, blobs: Blobs, encode: Encode, repeats: Repeats, choices: Choices, clock: Clock
    ) -> None:
        self._db = db
        self._choices = choices
        self._blobs = blobs
        self._encode = encode
        self._clock = clock
        self._ids = Ids(clock)
        self._outbox = Outbox("knowledge")
        self._inbox = Inbox("knowledge")
        self._repeats = repeats

    async def register(self, tenant_id: UUID, body: RegisterDocument, actor: Actor) -> DocumentView:
        """Take an uploaded document in and have it ingested. The same registration again returns what is there; a request
        that is made again, under its key and with another id, is told of the first one's document.

        :class:`InvalidInput` for another tenant's blob, :class:`Conflict` when the id belongs to other bytes.
        """
        _own_key(body.blob_key, tenant_id)
        choice, space = self._choices.chosen(tenant_id)
        async with self._db.tenant(tenant_id) as conn:
            attempt = await self._repeats.attempt(conn, tenant_id, actor)
            earlier = attempt.earlier(DocumentView)
            if earlier is not None:
                return earlier
            made = await repository.insert(conn, body, space, self._clock.now())
            if made is not None:
                await self._outbox.add(conn, await self._encode(self._uploaded(tenant_id, made, choice)))
                line = Line("document.added", Resource("document", token(made.id)), after=body)
                await self._outbox.add(conn, await self._audited(tenant_id, actor, line))
                return await attempt.keep(made.view())
            there = await repository.get(conn, body.document_id)
        if there is None or (there.sha256, there.blob_key) != (body.sha256, body.blob_key):
            raise Conflict("this document id is taken by another upload; use a fresh one")
        return there.view()

    def _uploaded(self, tenant_id: UUID, document: Document, choice: ProviderChoice | None) -> DocumentUploaded:
        return DocumentUploaded.model_validate(
            {
                "tenant_id": tenant_id,
                "document_id": document.id,
                "at": self._clock.now(),
                "revision": document.revision,
                "name": Sealed(document.name),
                "media_type": document.media_type,
                "blob_key": document.blob_key,
                "sha256": document.sha256,
                "embeddings": choice,
            }
        )

    async def get(self, tenant_id: UUID, document_id: UUID) -> Document:
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            found = await repository.get(conn, document_id)
        if found is None:
            raise NotFound("there is no such document")
        return found

    async def page(self, tenant_id: UUID, page: Page) -> tuple[list[Document], str | None]:
        """Newest first, and the cursor of the next page when there is one."""
        after = read_cursor(page.cursor) if page.cursor is not None else None
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            found = await repository.page(conn, page.limit + 1, after)
        more = len(found) > page.limit
        return found[: page.limit], cursor_after(found[page.limit - 1]) if more else None

    async def views(self, tenant_id: UUID, page: Page) -> DocumentList:
        found, cursor = await self.page(tenant_id, page)
        return DocumentList(documents=tuple(document.view() for document in found), next_cursor=cursor)

    async def counts(self, tenant_id: UUID) -> list[StatusCount]:
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            return await repository.counts(conn)

    async def forget(self, tenant_id: UUID, document_id: UUID, actor: Actor) -> None:
        """Bytes, chunks and row. The bytes go first: if something fails, the row is still there to try again with."""
        document = await self.get(tenant_id, document_id)
        was = {"media_type": document.media_type, "sha256": document.sha256, "size": document.size}
        line = Line("document.forgotten", Resource("document", token(document_id)), before=was)
        message = await self._audited(tenant_id, actor, line)
        await self._blobs.delete(parse_key(document.blob_key, tenant_id))
        async with self._db.tenant(tenant_id) as conn:
            if await repository.delete(conn, document_id):
                await self._outbox.add(conn, message)
        _log.info("document forgotten", document_id=document_id.hex)

    async def _audited(self, tenant_id: UUID, actor: Actor, line: Line) -> OutgoingMessage:
        """For tenant-svc, which keeps the audit. The document's name is the clinic's, and masked."""
        return await self._encode(told(tenant_id, Service.RAG_SVC, actor, line, self._clock.now()))

    async def reingest(self, tenant_id: UUID, document_id: UUID) -> Document:
        """Read the document again, as a new revision; searches see the old one until the new one is complete."""
        async with self._db.tenant(tenant_id) as conn:
            return await self._read_again(conn, tenant_id, document_id)

    async def misplaced(self, tenant_id: UUID, before: datetime) -> Sequence[UUID]:
        """Documents whose vectors are not, or will not be, in the tenant's space. Those that ingestion itself put
        elsewhere, because the provider was away, are among them only when that was before ``before``."""
        _, space = self._choices.chosen(tenant_id)
        async with self._db.tenant(tenant_id, readonly=True) as conn:
            return await repository.misplaced(conn, space, before)

    async def embed_again(self, tenant_id: UUID, document_id: UUID, before: datetime) -> bool:
        """:meth:`reingest` a document if it is misplaced still: another replica may have been first."""
        _, space = self._choices.chosen(tenant_id)
        async with self._db.tenant(tenant_id) as conn:
            if not await repository.lock_misplaced(conn, document_id, space, before):
                return False
            await self._read_again(conn, tenant_id, document_id)
        return True

    async def _read_again(self, conn: Connection, tenant_id: UUID, document_id: UUID) -> Document:
        choice, space = self._choices.chosen(tenant_id)
        document = await repository.next_revision(conn, document_id, space, self._clock.now())
        if document is None:
            raise NotFound("there is no such document")
        await self._outbox.add(conn, await self._encode(self._uploaded(tenant_id, document, choice)))
        return document

    async def progress(self, fact: DocumentProgress, message_id: UUID) -> None:
        """What the worker says of an ingestion; old and repeated news change nothing."""
        async with self._db.tenant(fact.tenant_id) as conn:
            if not await self._inbox.first_time(conn, CONSUMER, message_id):
                return
            document = await repository.lock(conn, fact.document_id)
            if document is not None and document.accepts(fact.revision, fact.status):
                reason = fact.reason if fact.status == "failed" else None
                await repository.set_status(conn, fact.document_id, fact.status, reason, fact.at)

    async def index(self, tenant_id: UUID, body: IndexChunks) -> None:
        """Store a batch; the ``last`` one makes the revision visible, in the same transaction.

        :class:`NotFound` for a forgotten document, :class:`Conflict` for a revision that isn't the newest,
        :class:`Unavailable` when batches are missing before the last.
        """
        _check_batch(body)
        length = body.first + len(body.chunks)
        indexed = DocumentIndexed(
            tenant_id=tenant_id,
            document_id=DocumentId(body.document_id),
            at=self._clock.now(),
            revision=body.revision,
            chunks=length,
        )
        message = await self._encode(indexed)
        async with self._db.tenant(tenant_id) as conn:
            document = await repository.lock(conn, body.document_id)
            if document is None:
                raise NotFound("this document has been forgotten")
            if body.revision != document.revision:
                raise Conflict("a newer ingestion of this document has begun")
            if document.indexed_revision == body.revision:
                return
            ids = [self._ids.new() for _ in body.chunks]
            await repository.put_chunks(conn, body.document_id, body.revision, body.model, ids, body.chunks)
            if not body.last:
                return
            now = self._clock.now()
            found = await repository.swap(conn, body.document_id, body.revision, length, body.model, now)
            if found != length:
                raise Unavailable(f"{length - found} chunks before the last batch are missing; send all batches again")
            await self._outbox.add(conn, message)
        _log.info("document indexed", document_id=body.document_id.hex, revision=body.revision, chunks=length)

    async def erase_tenant(self, tenant_id: UUID) -> int:
        """Every document with its chunks, and what stands in outbox and inbox."""
        async with self._db.tenant(tenant_id) as conn:
            return await repository.erase_tenant(conn, tenant_id)


def _own_key(blob_key: str, tenant_id: UUID) -> None:
    try:
        parse_key(blob_key, tenant_id)
    except InvalidInput:
        problem = FieldProblem("/blob_key", "not a blob of this tenant", "store the bytes under t/<tenant>/ first")
        raise InvalidInput("blob_key is wrong", fields=[problem]) from None


def _check_batch(body: IndexChunks) -> None:
    """A batch is a run of ordinals from ``first``."""
    if [chunk.ordinal for chunk in body.chunks] != list(range(body.first, body.first + len(body.chunks))):
        problem = FieldProblem("/chunks", "ordinals must count up from first", "send the chunks in their order")
        raise InvalidInput("the batch is not a run of chunks", fields=[problem])
    if not body.chunks:
        problem = FieldProblem("/chunks", "an empty batch", "a document without text has failed; don't index it")
        raise InvalidInput("the batch is empty", fields=[problem])
