"""The bus's side of documents."""

from __future__ import annotations

from switchboard.bus import Bus, Call, Delivery
from switchboard.contracts.base import Empty, Page
from switchboard.contracts.documents import (
    FORGET_DOCUMENT,
    GET_DOCUMENT,
    INDEX,
    LIST_DOCUMENTS,
    REGISTER,
    DocumentList,
    DocumentProgress,
    DocumentView,
    GetDocument,
    IndexChunks,
    RegisterDocument,
)
from switchboard.rights import Right

from rag_svc.access import tenant_of
from rag_svc.documents.service import Documents


class DocumentHandlers:
    """One method per contract."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def serve(self, bus: Bus) -> None:
        """Answer requests and consume facts; the last thing that a process starts."""
        await bus.serve(REGISTER, self.register)
        await bus.serve(GET_DOCUMENT, self.get)
        await bus.serve(LIST_DOCUMENTS, self.list)
        await bus.serve(FORGET_DOCUMENT, self.forget)
        await bus.serve(INDEX, self.index)
        bus.consume({DocumentProgress: self.progress})

    async def register(self, body: RegisterDocument, call: Call) -> DocumentView:
        tenant_id = tenant_of(call, REGISTER, Right.DOCUMENTS_WRITE)
        return await self._documents.register(tenant_id, body, call.actor)

    async def get(self, body: GetDocument, call: Call) -> DocumentView:
        return (await self._documents.get(tenant_of(call, GET_DOCUMENT, Right.DOCUMENTS_READ), body.document_id)).view()

    async def list(self, body: Page, call: Call) -> DocumentList:
        return await self._documents.views(tenant_of(call, LIST_DOCUMENTS, Right.DOCUMENTS_READ), body)

    async def forget(self, body: GetDocument, call: Call) -> Empty:
        await self._documents.forget(
            tenant_of(call, FORGET_DOCUMENT, Right.DOCUMENTS_WRITE), body.document_id, call.actor
        )
        return Empty()

    async def index(self, body: IndexChunks, call: Call) -> Empty:
        await self._documents.index(tenant_of(call, INDEX, Right.DOCUMENTS_WRITE), body)
        return Empty()

    async def progress(self, fact: DocumentProgress, delivery: Delivery) -> None:
        await self._documents.progress(fact, delivery.message_id)
