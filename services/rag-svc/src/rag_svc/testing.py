"""Documents as a customer hands them in; for tests only."""

from __future__ import annotations

from uuid import UUID

from switchboard.blobs import key
from switchboard.clock import SystemClock
from switchboard.contracts.base import Actor
from switchboard.contracts.documents import RegisterDocument
from switchboard.ids import Ids
from switchboard.sealed import Sealed

from rag_svc.documents.service import Documents

_ids = Ids(SystemClock())

OWNER = Actor(kind="user", id="u1", roles=("owner",))


def registration(
    tenant_id: UUID, document_id: UUID | None = None, *, name: str = "prices.pdf", sha256: str = "0" * 64
) -> RegisterDocument:
    """A new document, unless ``document_id`` says which."""
    document_id = document_id or _ids.new()
    return RegisterDocument(
        document_id=document_id,
        name=Sealed(name),
        media_type="application/pdf",
        blob_key=str(key(tenant_id, "documents", document_id)),
        sha256=sha256,
        size=5,
    )


async def register(documents: Documents, tenant_id: UUID, name: str = "prices.pdf") -> UUID:
    """The id of a new document that nothing was indexed of yet."""
    body = registration(tenant_id, name=name)
    await documents.register(tenant_id, body, OWNER)
    return body.document_id
