"""An upload's way: seal, store, register. Nothing is left in the store of an upload that was not registered."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from uuid import UUID

import structlog
from switchboard import blobs
from switchboard.contracts.documents import (
    FORGET_DOCUMENT,
    GET_DOCUMENT,
    REGISTER,
    DocumentView,
    GetDocument,
    RegisterDocument,
)
from switchboard.errors import Conflict, DeadlineExceeded, SwitchboardError
from switchboard.sealed import Sealed

from api_gateway.access.caller import Caller
from api_gateway.access.repeating import Repetition
from api_gateway.documents.sniffing import sniff
from api_gateway.documents.upload import Upload

_log = structlog.get_logger(__name__)

PURPOSE = "blob"
"""What a document's bytes are sealed for; ingest-worker opens them with the same."""


async def store_document(caller: Caller, upload: Upload, once: Repetition) -> DocumentView:
    """The registered document, waiting to be read; that of the first time when the request is made again.

    :class:`InvalidInput` when the request's key was used for another one.
    """
    media_type = sniff(upload.data, upload.file_name, upload.declared)
    found = caller.resources
    sha256 = hashlib.sha256(upload.data).hexdigest()
    asking = once(caller, sha256.encode(), upload.name.encode(), media_type.encode())
    document_id = once.id_of(asking) or found.bus.ids.new()
    where = blobs.key(caller.tenant_id, "documents", document_id)
    registration = RegisterDocument(
        document_id=document_id,
        name=Sealed(upload.name),
        media_type=media_type,
        blob_key=str(where),
        sha256=sha256,
        size=len(upload.data),
    )
    cipher = await found.bus.keyring.cipher(caller.tenant_id)
    sealed = cipher.seal(upload.data, PURPOSE)
    if asking is not caller:
        # What an earlier attempt has left there are the same bytes; another one may need them at this moment.
        with suppress(Conflict):
            await found.blobs.put(where, sealed)
        return await _register(asking, registration)
    await found.blobs.put(where, sealed)
    try:
        return await _register(caller, registration)
    except BaseException:  # a cancelled request must not leave a blob behind either
        await _discard(caller, where)
        raise


async def _register(caller: Caller, registration: RegisterDocument) -> DocumentView:
    try:
        return await caller.ask(REGISTER, registration)
    except DeadlineExceeded as late:
        # The answer may have been lost after the work was done; deleting the blob then would break the document.
        try:
            return await caller.ask(GET_DOCUMENT, GetDocument(document_id=registration.document_id))
        except SwitchboardError:
            raise late from None


async def forget_document(caller: Caller, document_id: UUID) -> None:
    """Out of the index, then out of the store."""
    await caller.ask(FORGET_DOCUMENT, GetDocument(document_id=document_id))
    await _discard(caller, blobs.key(caller.tenant_id, "documents", document_id))


async def _discard(caller: Caller, where: blobs.BlobKey) -> None:
    try:
        await caller.resources.blobs.delete(where)
    except SwitchboardError as error:
        # Sealed, and erased with its tenant at the latest; the caller's answer is not worth less for it.
        _log.warning("a blob was left behind", blob=str(where), error=error.code)
