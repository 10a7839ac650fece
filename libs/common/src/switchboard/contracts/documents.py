"""Documents: registering an upload, its way through ingestion, and retrieval."""

from __future__ import annotations

import enum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from switchboard.contracts.base import Contract, DocumentFact, Empty, Page, Rpc, Service, services
from switchboard.contracts.providers import ProviderChoice, ProviderFault
from switchboard.sealed import Sealed

_GATEWAY = services(Service.API_GATEWAY)
_RAG = services(Service.RAG_SVC)
_INGEST = services(Service.INGEST_WORKER)
_AGENT = services(Service.VOICE_AGENT)

MAX_DOCUMENT_BYTES = 20 * 1024 * 1024

MediaType = Literal["application/pdf", "text/plain", "text/markdown"]

EMBEDDING_DIMENSIONS = 384
"""Of MiniLM, the offline default; the model's name stands with every vector."""


class DocumentStatus(enum.StrEnum):
    """Ranks only rise within a revision; ``failed`` carries a reason the clinic understands."""

    UPLOADED = "uploaded"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    INDEXED = "indexed"
    FAILED = "failed"


class RegisterDocument(Contract):
    """The bytes are already in the blob store, sealed, under ``blob_key``."""

    document_id: UUID
    name: Sealed
    media_type: MediaType
    blob_key: str = Field(max_length=300)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=1, le=MAX_DOCUMENT_BYTES)


class DocumentView(Contract):
    """``embeddings``: the endpoint whose vectors searches use for it; ``None`` before it is indexed."""

    document_id: UUID
    name: Sealed
    media_type: MediaType
    size: int
    status: DocumentStatus
    reason: str | None = None
    chunks: int = 0
    embeddings: str | None = None
    uploaded_at: AwareDatetime
    updated_at: AwareDatetime


class GetDocument(Contract):
    document_id: UUID


class DocumentList(Contract):
    documents: tuple[DocumentView, ...]
    next_cursor: str | None = None


REGISTER = Rpc("rag", "register", RegisterDocument, DocumentView, Service.RAG_SVC, _GATEWAY, deadline=5.0)
GET_DOCUMENT = Rpc("rag", "document", GetDocument, DocumentView, Service.RAG_SVC, _GATEWAY, deadline=5.0)
LIST_DOCUMENTS = Rpc("rag", "documents", Page, DocumentList, Service.RAG_SVC, _GATEWAY, deadline=5.0)
FORGET_DOCUMENT = Rpc("rag", "forget", GetDocument, Empty, Service.RAG_SVC, _GATEWAY, deadline=5.0)


# -- ingestion -------------------------------------------------------------------------------------------------------


class DocumentUploaded(DocumentFact):
    """A document waits to be parsed; one delivery is one ingestion of ``revision``. ``embeddings`` is what the tenant
    had published when it was asked for; ``None``: offline."""

    fact: ClassVar[str] = "uploaded"
    publishers: ClassVar[frozenset[Service]] = _RAG
    consumers: ClassVar[frozenset[Service]] = _INGEST

    revision: int = Field(ge=1)
    name: Sealed
    media_type: MediaType
    blob_key: str
    sha256: str
    embeddings: ProviderChoice | None = None


class DocumentProgress(DocumentFact):
    """Where ingestion is; ``reason`` (of ``failed``) is a sentence for the clinic, without the document's content."""

    fact: ClassVar[str] = "progress"
    publishers: ClassVar[frozenset[Service]] = _INGEST
    consumers: ClassVar[frozenset[Service]] = _RAG

    revision: int
    status: DocumentStatus
    reason: str | None = Field(default=None, max_length=300)


class DocumentIndexed(DocumentFact):
    fact: ClassVar[str] = "indexed"
    publishers: ClassVar[frozenset[Service]] = _RAG
    consumers: ClassVar[frozenset[Service]] = frozenset()

    revision: int
    chunks: int


class Chunk(Contract):
    """A piece of a document that makes sense alone. ``vector`` is unit length."""

    ordinal: int = Field(ge=0)
    heading: Sealed
    text: Sealed
    vector: tuple[float, ...] = Field(min_length=EMBEDDING_DIMENSIONS, max_length=EMBEDDING_DIMENSIONS)


class IndexChunks(Contract):
    """One batch, embedded in the space ``model``; the index swaps to ``revision`` when the ``last`` batch is in. Repeating
    a batch changes nothing."""

    document_id: UUID
    revision: int
    model: str
    chunks: tuple[Chunk, ...] = Field(max_length=64)
    first: int = Field(ge=0, description="ordinal of the first chunk of the batch")
    last: bool


INDEX = Rpc("rag", "index", IndexChunks, Empty, Service.RAG_SVC, _INGEST, deadline=15.0)


# -- retrieval -------------------------------------------------------------------------------------------------------


class Search(Contract):
    """Several ways the caller may have said it (best first); the passages of all are fused."""

    queries: tuple[Sealed, ...] = Field(min_length=1, max_length=5)
    limit: int = Field(default=5, ge=1, le=20)


class Passage(Contract):
    """``score`` is the fused rank score; ``similarity`` the best cosine of any query, -1..1."""

    passage_id: UUID
    document_id: UUID
    document_name: Sealed
    heading: Sealed
    text: Sealed
    score: float
    similarity: float


class SearchTimings(Contract):
    """Milliseconds inside rag-svc."""

    embed_ms: float
    query_ms: float


class SearchReply(Contract):
    """``faults``: providers whose embeddings could not be had in time; the passages were found without them."""

    passages: tuple[Passage, ...]
    timings: SearchTimings
    faults: tuple[ProviderFault, ...] = ()


SEARCH = Rpc("rag", "search", Search, SearchReply, Service.RAG_SVC, _GATEWAY | _AGENT, deadline=1.5)


class SpeechTexts(Contract):
    """``digest`` names the texts the asker already has; same digest, no texts are sent again."""

    digest: str = ""


class SpeechTextsReply(Contract):
    """Every text of the tenant's index, for the offline ear's language model."""

    digest: str
    texts: tuple[Sealed, ...] | None


SPEECH_TEXTS = Rpc("rag", "speech_texts", SpeechTexts, SpeechTextsReply, Service.RAG_SVC, _AGENT, deadline=3.0)
