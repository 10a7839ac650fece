"""What ingest-worker reads from the environment."""

from __future__ import annotations

from pydantic import Field
from switchboard.embeddings import EmbeddingSettings
from switchboard.settings import (
    BlobSettings,
    Fragment,
    NatsSettings,
    ProviderSettings,
    SealingSettings,
    ServiceSettings,
)


class IngestSettings(Fragment):
    """How much one document may take, and how many are read at once."""

    parallel: int = Field(1, ge=1, le=64, description="documents that are parsed and embedded at once")
    deadline_s: float = Field(60.0, gt=0, description="wall-clock seconds for parsing one document")
    cpu_s: int = Field(20, ge=1, description="CPU seconds for parsing one document")
    memory_mib: int = Field(768, ge=256, description="address space of the parser, MiB")
    max_pages: int = Field(200, ge=1, description="pages of a PDF that are taken")
    max_chunks: int = Field(5000, ge=1, description="passages of a document that are taken")


class Settings(ServiceSettings):
    nats: NatsSettings
    sealing: SealingSettings
    blobs: BlobSettings
    embeddings: EmbeddingSettings
    providers: ProviderSettings = ProviderSettings()
    ingest: IngestSettings = Field(default_factory=lambda: IngestSettings.model_validate({}))
