"""The operators' routes: what each tenant's documents are doing, and reading one again. No names, no content."""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Router, get, post
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Parameter
from litestar.status_codes import HTTP_202_ACCEPTED
from pydantic import BaseModel, SecretStr
from switchboard.contracts.base import Page
from switchboard.contracts.documents import DocumentStatus
from switchboard.errors import NotAuthenticated

from rag_svc.documents.models import Document
from rag_svc.documents.service import Documents


class OperatorDocument(BaseModel):
    """A document as an operator sees it: without its name, which is the clinic's."""

    document_id: UUID
    media_type: str
    size: int
    status: DocumentStatus
    reason: str | None
    revision: int
    indexed_revision: int | None
    chunks: int
    embeddings: str | None
    uploaded_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, document: Document) -> OperatorDocument:
        return cls(
            document_id=document.id,
            media_type=document.media_type,
            size=document.size,
            status=document.status,
            reason=document.reason,
            revision=document.revision,
            indexed_revision=document.indexed_revision,
            chunks=document.chunks,
            embeddings=document.embeddings(),
            uploaded_at=document.uploaded_at,
            updated_at=document.updated_at,
        )


class OperatorDocuments(BaseModel):
    documents: list[OperatorDocument]
    next_cursor: str | None


class OperatorCount(BaseModel):
    status: DocumentStatus
    documents: int
    chunks: int


@get("/tenants/{tenant_id:uuid}/documents", summary="Documents of a tenant, newest first")
async def list_documents(
    documents: Documents,
    tenant_id: UUID,
    limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
    cursor: str | None = None,
) -> OperatorDocuments:
    found, following = await documents.page(tenant_id, Page(limit=limit, cursor=cursor))
    return OperatorDocuments(documents=[OperatorDocument.of(one) for one in found], next_cursor=following)


@get("/tenants/{tenant_id:uuid}/documents/counts", summary="How many documents and chunks are in each status")
async def count_documents(documents: Documents, tenant_id: UUID) -> list[OperatorCount]:
    return [
        OperatorCount(status=one.status, documents=one.documents, chunks=one.chunks)
        for one in await documents.counts(tenant_id)
    ]


@post(
    "/tenants/{tenant_id:uuid}/documents/{document_id:uuid}/reingest",
    status_code=HTTP_202_ACCEPTED,
    summary="Read a document again, as a new revision",
)
async def reingest(documents: Documents, tenant_id: UUID, document_id: UUID) -> OperatorDocument:
    return OperatorDocument.of(await documents.reingest(tenant_id, document_id))


def operators_router(documents: Documents, token: SecretStr) -> Router:
    """Everything under ``/operators``; each request needs ``Authorization: Bearer <token>``."""
    wanted = f"Bearer {token.get_secret_value()}".encode()

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        given = connection.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, wanted):
            raise NotAuthenticated("these routes need the operators' token")

    def provide() -> Documents:
        return documents

    return Router(
        path="/operators",
        route_handlers=[list_documents, count_documents, reingest],
        guards=[guard],
        dependencies={"documents": Provide(provide, sync_to_thread=False)},
    )
