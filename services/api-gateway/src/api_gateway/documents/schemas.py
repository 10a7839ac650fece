"""Public shapes about documents and search."""

from __future__ import annotations

from typing import Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field
from switchboard.contracts.documents import DocumentView, Search

from api_gateway.schemas import FaultShape, Form, Shape, Text


class DocumentShape(Shape):
    """``reason`` says why ``status`` is ``failed``. ``size`` in bytes; ``chunks`` are the passages it was cut into.

    ``embeddings`` is the provider whose vectors searches use for it; ``null`` before it is indexed. It is ``offline``, too,
    while the provider that you have chosen is away.
    """

    document_id: UUID
    name: str
    media_type: str
    size: int
    status: Literal["uploaded", "parsing", "embedding", "indexed", "failed"]
    reason: str | None
    chunks: int
    embeddings: str | None
    uploaded_at: AwareDatetime
    updated_at: AwareDatetime
    status_url: str

    @classmethod
    def of_view(cls, view: DocumentView) -> Self:
        return cls.model_validate({**view.model_dump(), "status_url": f"/v1/documents/{view.document_id}"})


class DocumentsShape(Shape):
    documents: tuple[DocumentShape, ...]
    next_cursor: str | None


class SearchForm(Form):
    query: Text = Field(min_length=1, max_length=500, examples=["How much is a cleaning?"])
    limit: int = Field(default=5, ge=1, le=20)

    def to_search(self) -> Search:
        return Search.model_validate({"queries": (self.query,), "limit": self.limit})


class PassageShape(Shape):
    """``similarity`` is a cosine, -1..1; ``score`` ranks meaning and words together."""

    passage_id: UUID
    document_id: UUID
    document_name: str
    heading: str
    text: str
    score: float
    similarity: float


class SearchTimingsShape(Shape):
    """Milliseconds."""

    embed_ms: float
    query_ms: float


class SearchShape(Shape):
    """Best first. ``faults`` names providers whose embeddings could not be had; the passages were found without them."""

    passages: tuple[PassageShape, ...]
    timings: SearchTimingsShape
    faults: tuple[FaultShape, ...]
