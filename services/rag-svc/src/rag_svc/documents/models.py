"""A document's state, and which news about it count. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from switchboard.contracts.documents import DocumentStatus, DocumentView
from switchboard.embeddings import endpoint_of
from switchboard.errors import FieldProblem, InvalidInput
from switchboard.sealed import Sealed

RANK: dict[DocumentStatus, int] = {
    DocumentStatus.UPLOADED: 0,
    DocumentStatus.PARSING: 1,
    DocumentStatus.EMBEDDING: 2,
    DocumentStatus.INDEXED: 3,
    DocumentStatus.FAILED: 3,
}
"""Ranks only rise within a revision; the two ends have the same rank, so the first one stays."""


@dataclass(frozen=True, slots=True)
class Document:
    """One row of ``knowledge.documents``."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: str
    blob_key: str
    status: DocumentStatus
    reason: str | None
    revision: int
    indexed_revision: int | None
    chunks: int
    space: str
    indexed_space: str | None
    uploaded_at: datetime
    updated_at: datetime

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Document:
        """From a row with exactly these columns."""
        return cls(**{**row, "status": DocumentStatus(row["status"])})

    def accepts(self, revision: int, status: DocumentStatus) -> bool:
        """Whether this news of the ingestion moves the document forward; late and repeated news don't."""
        return revision == self.revision and RANK[status] > RANK[self.status]

    def embeddings(self) -> str | None:
        """The endpoint whose vectors searches use; ``None`` while there are none."""
        if self.indexed_revision is None or self.indexed_space is None:
            return None
        return endpoint_of(self.indexed_space)

    def view(self) -> DocumentView:
        return DocumentView.model_validate(
            {
                "document_id": self.id,
                "name": Sealed(self.name),
                "media_type": self.media_type,
                "size": self.size,
                "status": self.status,
                "reason": self.reason,
                "chunks": self.chunks,
                "embeddings": self.embeddings(),
                "uploaded_at": self.uploaded_at,
                "updated_at": self.updated_at,
            }
        )


def cursor_after(document: Document) -> str:
    """The place in the list right after ``document``; opaque to others."""
    return base64.urlsafe_b64encode(f"{document.uploaded_at.isoformat()}|{document.id.hex}".encode()).decode()


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """The (time, id) inside a cursor; :class:`InvalidInput` for anything that we didn't make."""
    try:
        time, _, identifier = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().partition("|")
        at = datetime.fromisoformat(time)
        if at.tzinfo is None:
            raise ValueError("a time without zone")
        return at, UUID(hex=identifier)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        problem = FieldProblem("/cursor", "this is not a cursor", "send the next_cursor of the page before, or none")
        raise InvalidInput("the cursor is wrong", fields=[problem]) from None
