"""Many tenants' documents, straight into rag-svc's tables: what retrieval is measured on.

Words are drawn as in English (a few are frequent, most are rare), vectors at random around a few topics of each tenant. How
long a tenant-filtered exact scan takes depends on neither.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray
from pgvector.asyncpg import register_vector
from switchboard.embeddings.minilm import DIMENSIONS, MODEL

CHUNKS_A_DOCUMENT = 50
WORDS_A_CHUNK = 45
VOCABULARY = 5000
TOPICS = 8

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Library:
    """Of each tenant: the ids of its chunks, and their unit vectors in the same order."""

    tenants: tuple[UUID, ...]
    ids: dict[UUID, list[UUID]]
    vectors: dict[UUID, Vectors]

    def nearest(self, tenant: UUID, vector: NDArray[np.float32], limit: int) -> list[UUID]:
        """By brute force in memory: what an exact search must find."""
        order = np.argsort(-(self.vectors[tenant] @ vector), kind="stable")[:limit]
        return [self.ids[tenant][at] for at in order]


class Words:
    """Made-up words with Zipf's frequencies."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed)
        letters = ("bcdfglmnprst", "aeiou")
        made = {
            "".join(self._draw.choice(letters[at % 2]) for at in range(self._draw.randint(3, 9))) for _ in range(9000)
        }
        self._words = sorted(made)[:VOCABULARY]
        self._draw.shuffle(self._words)
        self._weights = [1 / (rank + 10) for rank in range(len(self._words))]

    def text(self, count: int) -> str:
        return " ".join(self._draw.choices(self._words, self._weights, k=count))


async def fill(connection: asyncpg.Connection[asyncpg.Record], tenants: int, chunks: int, seed: int) -> Library:
    """Indexed documents of ``tenants`` tenants with ``chunks`` chunks each; the superuser's connection."""
    await register_vector(connection)
    words, numbers = Words(seed), np.random.default_rng(seed)
    names = tuple(UUID(int=numbers.integers(1, 2**62).item() << 64) for _ in range(tenants))
    library = Library(names, {}, {})
    for tenant in names:
        await _fill_tenant(connection, library, tenant, chunks, words, numbers)
    await connection.execute("VACUUM (ANALYZE) knowledge.documents, knowledge.chunks, knowledge.postings")
    return library


async def _fill_tenant(
    connection: asyncpg.Connection[asyncpg.Record], library: Library, tenant: UUID, chunks: int, words: Words,
    numbers: np.random.Generator,
) -> None:  # fmt: skip
    ids = [UUID(int=tenant.int + 1000 + at) for at in range(chunks)]
    topics = numbers.normal(size=(TOPICS, DIMENSIONS))
    vectors = topics[numbers.integers(0, TOPICS, chunks)] + numbers.normal(size=(chunks, DIMENSIONS))
    library.ids[tenant] = ids
    library.vectors[tenant] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    now = datetime.now(UTC)
    documents = [UUID(int=tenant.int + 1 + at) for at in range(-(-chunks // CHUNKS_A_DOCUMENT))]
    await connection.copy_records_to_table(
        "documents",
        schema_name="knowledge",
        columns=["tenant_id", "id", "name", "media_type", "size", "sha256", "blob_key", "status", "revision",
                 "chunks", "uploaded_at", "updated_at", "space", "indexed_space"],
        records=[(tenant, one, words.text(3), "text/plain", 1, "0" * 64, "x", "indexed", 1, CHUNKS_A_DOCUMENT, now, now,
                  MODEL, MODEL) for one in documents],
    )  # fmt: skip
    await connection.copy_records_to_table(
        "chunks",
        schema_name="knowledge",
        columns=["tenant_id", "id", "document_id", "revision", "ordinal", "heading", "text", "model", "vector"],
        records=[(tenant, one, documents[at // CHUNKS_A_DOCUMENT], 1, at % CHUNKS_A_DOCUMENT, words.text(3),
                  words.text(WORDS_A_CHUNK), MODEL, library.vectors[tenant][at]) for at, one in enumerate(ids)],
    )  # fmt: skip
    # Only now: the chunks' words are posted when their revision becomes the indexed one.
    await connection.execute("UPDATE knowledge.documents SET indexed_revision = 1 WHERE tenant_id = $1", tenant)
