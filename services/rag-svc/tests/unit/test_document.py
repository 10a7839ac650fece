from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from rag_svc.documents.models import Document, cursor_after, read_cursor
from switchboard.contracts.documents import DocumentStatus
from switchboard.errors import InvalidInput

pytestmark = pytest.mark.unit

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DOCUMENT = Document(
    id=UUID(int=7),
    name="prices.pdf",
    media_type="application/pdf",
    size=10,
    sha256="0" * 64,
    blob_key="t/x/y",
    status=DocumentStatus.PARSING,
    reason=None,
    revision=2,
    indexed_revision=1,
    chunks=3,
    space="main:small",
    indexed_space="words",
    uploaded_at=AT,
    updated_at=AT,
)


def test_news_only_moves_a_document_forward_and_ends_stay() -> None:
    assert DOCUMENT.accepts(2, DocumentStatus.EMBEDDING)
    assert DOCUMENT.accepts(2, DocumentStatus.FAILED)
    assert not DOCUMENT.accepts(2, DocumentStatus.PARSING)
    assert not DOCUMENT.accepts(2, DocumentStatus.UPLOADED)
    for end in (DocumentStatus.INDEXED, DocumentStatus.FAILED):
        ended = replace(DOCUMENT, status=end)
        assert not any(ended.accepts(2, status) for status in DocumentStatus)


def test_the_view_says_whose_vectors_are_searched_not_whose_were_asked_for() -> None:
    assert DOCUMENT.view().embeddings == "offline"
    assert replace(DOCUMENT, indexed_space="main:a:b").view().embeddings == "main"
    assert replace(DOCUMENT, indexed_revision=None, indexed_space=None).view().embeddings is None


def test_news_of_another_revision_are_not_taken() -> None:
    assert not DOCUMENT.accepts(1, DocumentStatus.FAILED)
    assert not DOCUMENT.accepts(3, DocumentStatus.FAILED)


def test_a_cursor_comes_back_as_it_went() -> None:
    assert read_cursor(cursor_after(DOCUMENT)) == (AT, DOCUMENT.id)


@pytest.mark.parametrize("cursor", ["", "x", "a\nb", "MjAyNg==", "bm90IGEgdGltZXww", "' OR 1=1", "é"])
def test_any_other_cursor_is_refused_by_name(cursor: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_cursor(cursor)
    assert caught.value.fields[0].pointer == "/cursor"
