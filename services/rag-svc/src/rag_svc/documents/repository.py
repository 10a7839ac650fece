"""SQL of documents and chunks. Every function works in the caller's tenant transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pgvector import Vector
from switchboard.contracts.documents import Chunk, DocumentStatus, RegisterDocument
from switchboard.db import Connection

from rag_svc.documents.models import Document

_TENANT = "NULLIF(current_setting('app.tenant_id', true), '')::uuid"
_COLUMNS = (
    "id, name, media_type, size, sha256, blob_key, status, reason, revision, indexed_revision, chunks, "
    "space, indexed_space, uploaded_at, updated_at"
)

INSERT_DOCUMENT = (
    "INSERT INTO knowledge.documents (tenant_id, id, name, media_type, size, sha256, blob_key, status, uploaded_at, "
    f"updated_at, space) VALUES ({_TENANT}, $1, $2, $3, $4, $5, $6, 'uploaded', $7, $7, $8) ON CONFLICT DO NOTHING "
    f"RETURNING {_COLUMNS}"
)
SELECT_DOCUMENT = f"SELECT {_COLUMNS} FROM knowledge.documents WHERE id = $1"
LOCK_DOCUMENT = f"SELECT {_COLUMNS} FROM knowledge.documents WHERE id = $1 FOR UPDATE"
SELECT_PAGE = f"SELECT {_COLUMNS} FROM knowledge.documents ORDER BY uploaded_at DESC, id DESC LIMIT $1"
SELECT_PAGE_AFTER = (
    f"SELECT {_COLUMNS} FROM knowledge.documents WHERE (uploaded_at, id) < ($2, $3) "
    "ORDER BY uploaded_at DESC, id DESC LIMIT $1"
)
UPDATE_STATUS = "UPDATE knowledge.documents SET status = $2, reason = $3, updated_at = $4 WHERE id = $1"
NEXT_REVISION = (
    "UPDATE knowledge.documents SET revision = revision + 1, status = 'uploaded', reason = NULL, updated_at = $2, "
    f"space = $3 WHERE id = $1 RETURNING {_COLUMNS}"
)
DELETE_DOCUMENT = "DELETE FROM knowledge.documents WHERE id = $1"
ERASE_TENANT = "SELECT knowledge.erase_tenant($1)"
COUNT_BY_STATUS = "SELECT status, count(*) AS documents, sum(chunks) AS chunks FROM knowledge.documents GROUP BY status"

UPSERT_CHUNKS = (
    "INSERT INTO knowledge.chunks (tenant_id, id, document_id, revision, ordinal, heading, text, model, vector) "
    f"SELECT {_TENANT}, c.id, $1, $2, c.ordinal, c.heading, c.text, $3, c.vector "
    "FROM unnest($4::uuid[], $5::integer[], $6::text[], $7::text[], $8::public.vector[]) "
    "AS c (id, ordinal, heading, text, vector) "
    # The same batch again, or the same place read by a newer parser after a crash: what came last is true.
    "ON CONFLICT (tenant_id, document_id, revision, ordinal) DO UPDATE "
    "SET heading = EXCLUDED.heading, text = EXCLUDED.text, model = EXCLUDED.model, vector = EXCLUDED.vector"
)
DELETE_BEYOND = "DELETE FROM knowledge.chunks WHERE document_id = $1 AND revision = $2 AND ordinal >= $3"
COUNT_CHUNKS = "SELECT count(*) FROM knowledge.chunks WHERE document_id = $1 AND revision = $2"
SWAP_REVISION = (
    "UPDATE knowledge.documents SET status = 'indexed', reason = NULL, indexed_revision = $2, chunks = $3, "
    "updated_at = $4, indexed_space = $5 WHERE id = $1"
)
_MISPLACED = "(space <> $1 OR (status = 'indexed' AND indexed_space <> $1 AND updated_at <= $2))"
SELECT_MISPLACED = f"SELECT id FROM knowledge.documents WHERE {_MISPLACED} ORDER BY uploaded_at, id"
LOCK_MISPLACED = f"SELECT id FROM knowledge.documents WHERE {_MISPLACED} AND id = $3 FOR UPDATE"
DELETE_OLDER = "DELETE FROM knowledge.chunks WHERE document_id = $1 AND revision < $2"


@dataclass(frozen=True, slots=True)
class StatusCount:
    """How many documents of a tenant are in one status, and how many chunks they have in the index."""

    status: DocumentStatus
    documents: int
    chunks: int


async def insert(conn: Connection, body: RegisterDocument, space: str, at: datetime) -> Document | None:
    """The new document, to be embedded in ``space``; None when there is one with this id already."""
    row = await conn.fetchrow(
        INSERT_DOCUMENT,
        body.document_id,
        str(body.name),
        body.media_type,
        body.size,
        body.sha256,
        body.blob_key,
        at,
        space,
    )
    return Document.of_row(dict(row)) if row is not None else None


async def get(conn: Connection, document_id: UUID) -> Document | None:
    row = await conn.fetchrow(SELECT_DOCUMENT, document_id)
    return Document.of_row(dict(row)) if row is not None else None


async def lock(conn: Connection, document_id: UUID) -> Document | None:
    """The document; nobody else changes it until this transaction ends."""
    row = await conn.fetchrow(LOCK_DOCUMENT, document_id)
    return Document.of_row(dict(row)) if row is not None else None


async def page(conn: Connection, limit: int, after: tuple[datetime, UUID] | None) -> list[Document]:
    """Newest first."""
    rows = await (conn.fetch(SELECT_PAGE, limit) if after is None else conn.fetch(SELECT_PAGE_AFTER, limit, *after))
    return [Document.of_row(dict(row)) for row in rows]


async def set_status(
    conn: Connection, document_id: UUID, status: DocumentStatus, reason: str | None, at: datetime
) -> None:
    await conn.execute(UPDATE_STATUS, document_id, status.value, reason, at)


async def next_revision(conn: Connection, document_id: UUID, space: str, at: datetime) -> Document | None:
    """Asks for another ingestion, to be embedded in ``space``."""
    row = await conn.fetchrow(NEXT_REVISION, document_id, at, space)
    return Document.of_row(dict(row)) if row is not None else None


async def misplaced(conn: Connection, space: str, before: datetime) -> list[UUID]:
    """Documents that were asked for another space than ``space``, and those that were asked for it and are, since before
    ``before``, indexed in another one."""
    return [row["id"] for row in await conn.fetch(SELECT_MISPLACED, space, before)]


async def lock_misplaced(conn: Connection, document_id: UUID, space: str, before: datetime) -> bool:
    """Whether the document is one of :func:`misplaced` still; if so, nobody else changes it until the transaction ends."""
    return await conn.fetchval(LOCK_MISPLACED, space, before, document_id) is not None


async def delete(conn: Connection, document_id: UUID) -> bool:
    """The document and, by its foreign key, its chunks; whether it was there."""
    return bool(await conn.execute(DELETE_DOCUMENT, document_id) == "DELETE 1")


async def erase_tenant(conn: Connection, tenant_id: UUID) -> int:
    """Every row of the tenant in this schema; how many there were, chunks not counted."""
    return int(await conn.fetchval(ERASE_TENANT, tenant_id))


async def counts(conn: Connection) -> list[StatusCount]:
    return [
        StatusCount(DocumentStatus(row["status"]), row["documents"], row["chunks"])
        for row in await conn.fetch(COUNT_BY_STATUS)
    ]


async def put_chunks(
    conn: Connection, document_id: UUID, revision: int, model: str, ids: Sequence[UUID], chunks: Sequence[Chunk]
) -> None:
    """``ids`` are taken for chunks that are new."""
    await conn.execute(
        UPSERT_CHUNKS,
        document_id,
        revision,
        model,
        list(ids),
        [chunk.ordinal for chunk in chunks],
        [str(chunk.heading) for chunk in chunks],
        [str(chunk.text) for chunk in chunks],
        [Vector(list(chunk.vector)) for chunk in chunks],
    )


async def swap(conn: Connection, document_id: UUID, revision: int, length: int, space: str, at: datetime) -> int:
    """Make ``revision``, ``length`` chunks long and in ``space``, what searches see.

    The chunks found; nothing is swapped if fewer.
    """
    await conn.execute(DELETE_BEYOND, document_id, revision, length)
    found = int(await conn.fetchval(COUNT_CHUNKS, document_id, revision))
    if found == length:
        await conn.execute(SWAP_REVISION, document_id, revision, length, at, space)
        await conn.execute(DELETE_OLDER, document_id, revision)
    return found
