"""What rag-svc reads from the environment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from switchboard.embeddings import EmbeddingSettings
from switchboard.settings import (
    BlobSettings,
    DatabaseSettings,
    Fragment,
    NatsSettings,
    ProviderSettings,
    SealingSettings,
    ServiceSettings,
)

MIN_TOKEN = 16


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < MIN_TOKEN:
        raise ValueError(f"must be at least {MIN_TOKEN} characters (openssl rand -hex 24)")
    return value


class OperatorSettings(Fragment):
    """Who may use the operators' routes."""

    token: Annotated[SecretStr, AfterValidator(_long)] = Field(description="bearer token of the operators' routes")


class ReembeddingSettings(Fragment):
    """Keeping documents in the space that their tenant has chosen."""

    sweep_s: float = Field(600.0, ge=0.05, le=86_400, description="seconds between two looks for documents elsewhere")


class SearchSettings(Fragment):
    """Answering queries."""

    provider_rest_s: float = Field(
        5.0, ge=0, le=600, description="seconds for which a provider of embeddings that failed a query is left alone"
    )


class Settings(ServiceSettings):
    database: DatabaseSettings
    nats: NatsSettings
    sealing: SealingSettings
    blobs: BlobSettings
    embeddings: EmbeddingSettings
    operators: OperatorSettings
    providers: ProviderSettings = ProviderSettings()
    search: SearchSettings = Field(default_factory=lambda: SearchSettings.model_validate({}))
    reembedding: ReembeddingSettings = Field(default_factory=lambda: ReembeddingSettings.model_validate({}))
