"""Uploads through the real gateway into a real blob store, with a peer in rag-svc's place."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from api_gateway.testing import Peers, RunningGateway, Tenant
from switchboard.bus import Call
from switchboard.contracts import documents
from switchboard.contracts.base import Contract, Empty
from switchboard.contracts.base import Service as Name
from switchboard.errors import Conflict, InvalidInput, NoResponder, NotFound

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40


def view(body: documents.RegisterDocument) -> documents.DocumentView:
    return documents.DocumentView(
        document_id=body.document_id,
        name=body.name,
        media_type=body.media_type,
        size=body.size,
        status=documents.DocumentStatus.UPLOADED,
        embeddings="openai-main",
        uploaded_at=NOW,
        updated_at=NOW,
    )


async def registered(body: documents.RegisterDocument, call: Call) -> Contract:
    return view(body)


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_an_upload_rests_sealed_and_is_registered(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path
) -> None:
    peers.answer(documents.REGISTER, registered)

    response = await gateway.http.post(
        "/v1/documents", files={"file": ("C:\\price lists\\Precios.pdf", PDF)}, headers=tenant.headers
    )

    assert response.status_code == 202, response.text
    body = response.json()
    assert (body["name"], body["media_type"], body["status"]) == ("Precios.pdf", "application/pdf", "uploaded")
    assert body["status_url"] == response.headers["location"] == f"/v1/documents/{body['document_id']}"
    assert body["embeddings"] == "openai-main"
    sent = peers.asked_for(documents.REGISTER)[0].body
    assert sent.sha256 == hashlib.sha256(PDF).hexdigest()
    (blob,) = stored(blob_folder)
    assert sent.blob_key == f"t/{tenant.id.hex}/documents/{sent.document_id.hex}" == str(blob.relative_to(blob_folder))
    sealed = blob.read_bytes()
    assert b"%PDF" not in sealed
    cipher = await peers.buses[Name.RAG_SVC].keyring.cipher(tenant.id)
    assert cipher.open(sealed, "blob") == PDF


async def test_the_name_may_be_given(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    peers.answer(documents.REGISTER, registered)
    response = await gateway.http.post(
        "/v1/documents", files={"file": ("a.md", b"# Prices")}, data={"name": "Tarifas"}, headers=tenant.headers
    )
    assert (response.json()["name"], response.json()["media_type"]) == ("Tarifas", "text/markdown")


async def test_what_is_not_registered_is_not_kept(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path
) -> None:
    held: list[list[Path]] = []

    async def refuse(body: documents.RegisterDocument, call: Call) -> Contract:
        held.append(stored(blob_folder))
        raise Conflict("too many documents")

    peers.answer(documents.REGISTER, refuse)
    response = await gateway.http.post("/v1/documents", files={"file": ("a.txt", b"hello")}, headers=tenant.headers)
    assert response.status_code == 409
    assert len(held[0]) == 1, "it was there when it was registered"
    assert stored(blob_folder) == []


async def test_a_lost_answer_does_not_break_a_registered_document(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registering took longer than anybody waits, but it was done: the blob stays."""
    kept: list[documents.RegisterDocument] = []

    async def too_slow(body: documents.RegisterDocument, call: Call) -> Contract:
        kept.append(body)
        await asyncio.Event().wait()
        raise AssertionError

    async def get(body: documents.GetDocument, call: Call) -> Contract:
        assert body.document_id == kept[0].document_id
        return view(kept[0])

    peers.answer(documents.REGISTER, too_slow)
    peers.answer(documents.GET_DOCUMENT, get)
    response = await gateway.http.post(
        "/v1/documents", files={"file": ("a.txt", b"hello")}, headers=tenant.headers, timeout=20
    )
    assert response.status_code == 202
    assert len(stored(blob_folder)) == 1


async def test_the_limit_stops_the_reading(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    """Not announced, and the limit is reached in the middle: the rest is not taken."""
    sent = 0

    async def too_much() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(22):
            sent += 1
            yield b"x" * 1_048_576
        yield b"\r\n--b--\r\n"

    headers = {**tenant.headers, "content-type": "multipart/form-data; boundary=b"}
    response = await gateway.http.post("/v1/documents", content=too_much(), headers=headers, timeout=30)

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"
    assert peers.asked_for(documents.REGISTER) == []


async def test_an_announced_giant_is_refused_unread(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.service.port)
    writer.write(
        b"POST /v1/documents HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 99999999\r\nauthorization: Bearer " + tenant.api_key.encode() + b"\r\n\r\n"
    )
    status = await reader.readline()
    writer.close()
    assert status.split()[1] == b"413"
    assert peers.asked == []


WRONG: list[tuple[Any, dict[str, str], int, str]] = [
    ({"file": ("a.docx", b"PK\x03\x04....")}, {}, 415, "/file"),
    ({"file": ("a.txt", b"")}, {}, 422, "/file"),
    ({"document": ("a.txt", b"hello")}, {}, 422, ""),
    ({"file": ("a.txt", b"hello")}, {"name": "x" * 201}, 422, "/name"),
    ({"file": ("a.txt", b"hello")}, {"name": "x" * 5000}, 413, "/name"),
    ({"file": ("a.txt", b"hello")}, {"name": "a\nb"}, 422, "/name"),
    ({"file": ("a.txt", b"hello")}, {"tenant_id": str(uuid4())}, 422, ""),
    ([("file", ("a.txt", b"hello")), ("file", ("b.txt", b"hello"))], {}, 422, "/file"),
]


async def test_wrong_forms(gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path) -> None:
    for files, data, status, pointer in WRONG:
        response = await gateway.http.post("/v1/documents", files=files, data=data, headers=tenant.headers)
        assert response.status_code == status, data
        (error,) = response.json()["errors"]
        assert error["pointer"] == pointer
        assert error["fix"]
    assert stored(blob_folder) == []
    assert peers.asked_for(documents.REGISTER) == []


async def test_what_is_no_form(gateway: RunningGateway, tenant: Tenant) -> None:
    response = await gateway.http.post("/v1/documents", content=PDF, headers=tenant.headers)
    assert response.status_code == 415
    broken = {**tenant.headers, "content-type": "multipart/form-data; boundary=b"}
    for content in (b"", b"--b\r\n", b"nonsense", b'--b\r\ncontent-disposition: form-data; name="file"\r\n\r\nhalf'):
        response = await gateway.http.post("/v1/documents", content=content, headers=broken)
        assert response.status_code == 422, content
        assert response.json()["errors"][0]["fix"]


async def test_a_key_is_checked_before_an_upload_is_read(gateway: RunningGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.service.port)
    writer.write(
        b"POST /v1/documents HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n"
        b"content-length: 1000\r\n\r\n"
    )
    status = await reader.readline()  # and not one byte of the body has been sent
    writer.close()
    assert status.split()[1] == b"401"


async def test_deleting_forgets_then_removes(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path
) -> None:
    peers.answer(documents.REGISTER, registered)
    upload = await gateway.http.post("/v1/documents", files={"file": ("a.txt", b"hello")}, headers=tenant.headers)
    url = upload.json()["status_url"]

    peers.answer(documents.FORGET_DOCUMENT, NotFound())
    assert (await gateway.http.delete(url, headers=tenant.headers)).status_code == 404
    assert len(stored(blob_folder)) == 1, "what the owner does not forget stays"

    peers.answer(documents.FORGET_DOCUMENT, Empty())
    response = await gateway.http.delete(url, headers=tenant.headers)
    assert (response.status_code, response.content) == (204, b"")
    assert stored(blob_folder) == []


async def test_only_so_many_uploads_at_once(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    release = asyncio.Event()
    arrived = asyncio.Semaphore(0)

    async def hold(body: documents.RegisterDocument, call: Call) -> Contract:
        arrived.release()
        await release.wait()
        return view(body)

    async def upload() -> int:
        files = {"file": ("a.txt", b"hello")}
        return (await gateway.http.post("/v1/documents", files=files, headers=tenant.headers)).status_code

    peers.answer(documents.REGISTER, hold)
    uploads = [asyncio.create_task(upload()) for _ in range(4)]
    for _ in uploads:
        await arrived.acquire()
    assert await upload() == 503
    release.set()
    assert await asyncio.gather(*uploads) == [202] * 4
    assert await upload() == 202


async def upload_again(gateway: RunningGateway, tenant: Tenant, data: bytes, key: str = "monday's upload") -> Any:
    headers = tenant.headers | {"idempotency-key": key}
    return await gateway.http.post("/v1/documents", files={"file": ("prices.pdf", data)}, headers=headers)


async def test_an_upload_made_again_with_its_key_is_the_same_document(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path
) -> None:
    """Also when the first request failed behind the store: its bytes are not taken away from whoever repeats it."""
    peers.answer(documents.REGISTER, NoResponder())
    assert (await upload_again(gateway, tenant, PDF)).status_code == 503
    peers.answer(documents.REGISTER, registered)
    first, second = await upload_again(gateway, tenant, PDF), await upload_again(gateway, tenant, PDF)
    assert first.status_code == second.status_code == 202, second.text
    assert first.json()["document_id"] == second.json()["document_id"]
    assert len({asked.body.document_id for asked in peers.asked_for(documents.REGISTER)}) == 1
    assert len(stored(blob_folder)) == 1
    other = await upload_again(gateway, tenant, PDF, "tuesday's upload")
    assert other.json()["document_id"] != first.json()["document_id"]


async def test_other_bytes_under_a_key_are_another_request(
    gateway: RunningGateway, peers: Peers, tenant: Tenant, blob_folder: Path
) -> None:
    """Its owner is told so, and refuses it; what the first one has stored stays as it is."""
    peers.answer(documents.REGISTER, registered)
    assert (await upload_again(gateway, tenant, PDF)).status_code == 202
    [blob] = stored(blob_folder)
    before = blob.read_bytes()
    peers.answer(documents.REGISTER, InvalidInput("that idempotency key was used for another request"))
    assert (await upload_again(gateway, tenant, PDF + b"more")).status_code == 422
    first, other = (asked.call.actor.terms for asked in peers.asked_for(documents.REGISTER))
    assert first is not None and other is not None
    assert first.key == other.key == "monday's upload"
    assert first.request != other.request
    assert blob.read_bytes() == before


async def test_a_key_that_can_not_be_used_is_named(gateway: RunningGateway, peers: Peers, tenant: Tenant) -> None:
    refused = await upload_again(gateway, tenant, PDF, "x" * 201)
    assert refused.status_code == 422
    assert "idempotency-key" in refused.text
