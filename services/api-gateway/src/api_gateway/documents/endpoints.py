"""Documents that the agent answers from, and searching them."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from switchboard.contracts.documents import (
    GET_DOCUMENT,
    LIST_DOCUMENTS,
    MAX_DOCUMENT_BYTES,
    SEARCH,
    GetDocument,
)
from switchboard.errors import DeadlineExceeded, Unavailable

from api_gateway.access.caller import Authenticated
from api_gateway.access.identifiers import DocumentIdInPath
from api_gateway.access.repeating import Once
from api_gateway.documents.schemas import DocumentShape, DocumentsShape, SearchForm, SearchShape
from api_gateway.documents.service import forget_document, store_document
from api_gateway.documents.upload import FORM_BYTES, read_upload
from api_gateway.paging import PageWanted

router = APIRouter(prefix="/v1")

MAX_UPLOAD_BYTES = MAX_DOCUMENT_BYTES + FORM_BYTES

_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "contentMediaType": "application/octet-stream",
                            "description": f"PDF, or text or Markdown in UTF-8; at most {MAX_DOCUMENT_BYTES} bytes",
                        },
                        "name": {
                            "type": "string",
                            "maxLength": 200,
                            "description": "what to call it; by default the file's name",
                        },
                    },
                }
            }
        },
    }
}


@router.post("/documents", status_code=202, tags=["documents"], openapi_extra=_FORM)
async def upload_document(request: Request, response: Response, once: Once, caller: Authenticated) -> DocumentShape:
    """Upload a document. It is read in the background: ask `status_url` until `status` is `indexed` or `failed`."""
    places = caller.resources.uploads
    if not places.take():
        raise Unavailable("too many uploads at once; try again in a moment")
    try:
        async with asyncio.timeout(caller.resources.pace.upload_s):
            content_type = request.headers.get("content-type", "")
            upload = await read_upload(request.stream(), content_type, MAX_DOCUMENT_BYTES)
        shape = DocumentShape.of_view(await store_document(caller, upload, once))
    except TimeoutError:
        raise DeadlineExceeded("the upload did not come to its end in time") from None
    finally:
        places.give_back()
    response.headers["location"] = shape.status_url
    return shape


@router.get("/documents", tags=["documents"])
async def list_documents(page: PageWanted, caller: Authenticated) -> DocumentsShape:
    """Your documents, newest first."""
    found = await caller.ask(LIST_DOCUMENTS, page.of(caller))
    return DocumentsShape(
        documents=tuple(DocumentShape.of_view(view) for view in found.documents),
        next_cursor=page.following(caller, found.next_cursor),
    )


@router.get("/documents/{document_id}", tags=["documents"])
async def get_document(document_id: DocumentIdInPath, caller: Authenticated) -> DocumentShape:
    """A document and how far it has been read."""
    return DocumentShape.of_view(await caller.ask(GET_DOCUMENT, GetDocument(document_id=document_id)))


@router.delete("/documents/{document_id}", status_code=204, tags=["documents"])
async def delete_document(document_id: DocumentIdInPath, caller: Authenticated) -> Response:
    """Delete a document; the agent does not answer from it any more."""
    await forget_document(caller, document_id)
    return Response(status_code=204)


@router.post("/search", tags=["documents"])
async def search(caller: Authenticated, form: SearchForm) -> SearchShape:
    """The passages that the agent would answer this question from."""
    return SearchShape.of(await caller.ask(SEARCH, form.to_search()))
