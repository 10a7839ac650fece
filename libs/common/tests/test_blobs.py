from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from switchboard.blobs import Blobs, key, parse_key
from switchboard.errors import Conflict, InvalidId, NotFound, TooLarge
from switchboard.settings import BlobSettings

pytestmark = pytest.mark.unit

A, B, DOCUMENT = uuid4(), uuid4(), uuid4()
KEY = key(A, "documents", DOCUMENT, "original.pdf")


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(BlobSettings(url=f"file://{tmp_path}/made here"))


def test_a_key_begins_with_its_tenant() -> None:
    assert str(KEY) == f"t/{A.hex}/documents/{DOCUMENT.hex}/original.pdf"
    assert parse_key(str(KEY), A) == KEY


@pytest.mark.parametrize(
    "hostile",
    [
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "A",
        "a\n",
        "a\0",
        "%2e%2e",
        "x..pdf",
        "price list.pdf",
        "~",
        "é",
        "a" * 60,
        ".hidden",
    ],
)
def test_a_name_that_somebody_uploaded_never_becomes_a_key(hostile: str) -> None:
    with pytest.raises(InvalidId):
        key(A, "documents", hostile)


@pytest.mark.parametrize("hostile", [str(A), A.hex, None, "../x"])
def test_only_ids_are_tenants(hostile: object) -> None:
    with pytest.raises(InvalidId):
        key(hostile, "documents")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        f"t/{B.hex}/documents/x",
        f"t/{A.hex}/../{B.hex}/x",
        f"t/{A.hex}/",
        f"t/{A}/x",
        f"/t/{A.hex}/x",
        f"t/{A.hex}/x/",
        f"x/{A.hex}/x",
        "",
    ],
)
def test_a_key_from_a_message_is_of_its_tenant_or_refused(text: str) -> None:
    with pytest.raises(InvalidId):
        parse_key(text, A)


async def test_what_is_put_can_be_got_and_deleted(blobs: Blobs) -> None:
    await blobs.put(KEY, b"prices")
    assert await blobs.get(KEY) == b"prices"
    await blobs.delete(KEY)
    await blobs.delete(KEY)
    with pytest.raises(NotFound):
        await blobs.get(KEY)


async def test_nothing_is_overwritten_unless_meant(blobs: Blobs) -> None:
    await blobs.put(KEY, b"one")
    with pytest.raises(Conflict):
        await blobs.put(KEY, b"two")
    assert await blobs.get(KEY) == b"one"
    await blobs.put(KEY, b"two", replace=True)
    assert await blobs.get(KEY) == b"two"


async def test_a_blob_larger_than_asked_for_is_not_read(blobs: Blobs) -> None:
    await blobs.put(KEY, b"12345")
    assert await blobs.get(KEY, max_bytes=5) == b"12345"
    with pytest.raises(TooLarge):
        await blobs.get(KEY, max_bytes=4)


async def test_a_tenant_can_be_erased_and_no_other_with_it(blobs: Blobs) -> None:
    kept = key(B, "documents", DOCUMENT)
    for number in range(3):
        await blobs.put(key(A, "documents", UUID(int=number), "original"), b"x")
    await blobs.put(kept, b"y")

    assert await blobs.delete_tenant(A) == 3
    assert await blobs.delete_tenant(A) == 0
    assert await blobs.get(kept) == b"y"


async def test_it_says_when_it_is_ready(blobs: Blobs) -> None:
    await blobs.ready()


def test_a_bucket_is_a_matter_of_configuration() -> None:
    assert "S3Store" in repr(Blobs.open(BlobSettings(url="s3://bucket/prefix"))._store)
