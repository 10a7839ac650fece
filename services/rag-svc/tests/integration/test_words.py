"""The search by words reads posting lists; it finds, scores and orders as if it had read every chunk."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from rag_svc.documents.service import Documents
from rag_svc.search import repository
from rag_svc.testing import OWNER, register
from switchboard.contracts.documents import Chunk, IndexChunks
from switchboard.db import Connection, Database
from switchboard.sealed import Sealed
from switchboard.testing.database import MigratedDatabase

pytestmark = pytest.mark.integration

SEED, LIBRARIES, STEPS, QUERIES = 6, 12, 8, 8

# As it was before there were posting lists: every live chunk is looked at with every word.
BY_READING = r"""
WITH asked AS MATERIALIZED (
  SELECT q.n, w.lexeme, ('''' || replace(replace(w.lexeme, '\', '\\'), '''', '''''') || '''')::tsquery AS query
  FROM unnest($1::text[]) WITH ORDINALITY AS q (text, n), LATERAL unnest(to_tsvector('pg_catalog.english', q.text)) AS w
), live AS MATERIALIZED (
  SELECT c.id, c.words, length(c.words) AS size FROM knowledge.chunks AS c JOIN knowledge.documents AS d
  ON d.tenant_id = c.tenant_id AND d.id = c.document_id AND d.indexed_revision = c.revision
), whole AS (SELECT count(*)::float8 AS n, COALESCE(avg(size), 1)::float8 AS size FROM live
), matched AS (
  SELECT w.lexeme, live.id, live.size FROM (SELECT DISTINCT lexeme, query FROM asked) AS w
  JOIN live ON live.words @@ w.query
), counted AS (SELECT lexeme, count(*)::float8 AS chunks FROM matched GROUP BY lexeme
), weighed AS (
  SELECT a.n, a.lexeme, ln(1 + (whole.n - COALESCE(c.chunks, 0) + 0.5) / (COALESCE(c.chunks, 0) + 0.5)) AS weight
  FROM asked AS a CROSS JOIN whole LEFT JOIN counted AS c USING (lexeme)
), totals AS (SELECT n, sum(weight ORDER BY lexeme) AS weight FROM weighed GROUP BY n
), summed AS (
  SELECT w.n, m.id, m.size, sum(w.weight ORDER BY w.lexeme) AS found
  FROM weighed AS w JOIN matched AS m USING (lexeme) GROUP BY w.n, m.id, m.size
), ranked AS (
  SELECT s.n, s.id, s.found, row_number() OVER (PARTITION BY s.n
  ORDER BY s.found * 2.2 / (1 + 1.2 * (0.25 + 0.75 * s.size / whole.size)) DESC, s.id) AS place FROM summed AS s, whole
) SELECT r.n, r.id, r.found / t.weight AS share FROM ranked AS r JOIN totals AS t USING (n)
WHERE place <= $2 ORDER BY r.n, place
"""

PLAIN = (
    "peel peels peeling lift glow brow price prices priced euro 45 129 $129.50 the of is it's don't O'Neil x-ray 3.5-4"
)
ODD = r"""C:\new\brow back\slash 'quoted' "lift" a'b''c \' example.com/it's a@example.com x&y glow|lift !peel brow:* été 的"""
MISHEARD = "peal lifd brau glo prise nothing zzz"
WRITTEN, ASKED = f"{PLAIN} {ODD}".split(), f"{PLAIN} {ODD} {MISHEARD}".split()


async def index(
    documents: Documents, embedder: Any, tenant: UUID, document: UUID, texts: Sequence[str], revision: int = 1,
    first: int = 0, *, last: bool = True,
) -> None:  # fmt: skip
    vector = tuple(float(value) for value in embedder.one("any"))
    chunks = tuple(
        Chunk(ordinal=at, heading=Sealed("Prices"), text=Sealed(text), vector=vector)
        for at, text in enumerate(texts, first)
    )
    body = IndexChunks(document_id=document, revision=revision, model="words", chunks=chunks, first=first, last=last)
    await documents.index(tenant, body)


class Library:
    """One tenant's documents, changed at random."""

    def __init__(self, documents: Documents, embedder: Any, draw: random.Random) -> None:
        self.tenant = uuid4()
        self._documents, self._embedder, self._draw = documents, embedder, draw
        self._held: list[UUID] = []

    def text(self, words: Sequence[str] = WRITTEN, most: int = 12) -> str:
        return " ".join(self._draw.choices(words, k=self._draw.randint(1, most)))

    def texts(self) -> list[str]:
        """Some twice or more: their scores are equal."""
        made = [self.text() for _ in range(self._draw.randint(1, 5))]
        return made + self._draw.choices(made, k=self._draw.randint(0, 3))

    async def change(self) -> None:
        kind = self._draw.choice(("new", "new", "again", "half", "forgotten"))
        if kind == "new" or not self._held:
            self._held.append(await register(self._documents, self.tenant))
            await index(self._documents, self._embedder, self.tenant, self._held[-1], self.texts())
        elif kind == "forgotten":
            await self._documents.forget(self.tenant, self._held.pop(), OWNER)
        else:
            held = self._draw.choice(self._held)
            revision = (await self._documents.reingest(self.tenant, held)).revision
            texts = self.texts()
            await index(self._documents, self._embedder, self.tenant, held, texts, revision, last=False)
            if kind == "again":
                await index(
                    self._documents, self._embedder, self.tenant, held, self.texts(), revision, first=len(texts)
                )

    def queries(self) -> list[str]:
        return [self.text(ASKED, 7) for _ in range(self._draw.randint(1, 4))]


async def both(db: Database, tenant: UUID, queries: Sequence[str], limit: int) -> tuple[list[Any], list[Any]]:
    """(n, id, share) in order, by posting lists and by reading everything."""
    async with db.tenant(tenant, isolation="repeatable_read", readonly=True) as conn:
        listed = await conn.fetch(repository.BY_WORDS, queries, limit)
        read = await conn.fetch(BY_READING, queries, limit)
    return [tuple(row) for row in listed], [tuple(row) for row in read]


async def test_words_find_score_and_order_as_if_every_chunk_were_read(
    documents: Documents, embedder: Any, db: Database
) -> None:
    draw = random.Random(SEED)
    hits = 0
    for _ in range(LIBRARIES):
        library = Library(documents, embedder, draw)
        for _ in range(STEPS):
            await library.change()
            for _ in range(QUERIES):
                queries, limit = library.queries(), draw.choice((1, 3, 20))
                listed, read = await both(db, library.tenant, queries, limit)
                assert listed == read, (queries, limit)
                hits += len(read)
    assert hits > LIBRARIES * STEPS * QUERIES, "almost nothing was found; what was compared?"


async def test_nothing_is_left_of_what_searches_no_longer_see(
    documents: Documents, embedder: Any, db: Database
) -> None:
    tenant = uuid4()
    kept, forgotten = await register(documents, tenant), await register(documents, tenant)
    await index(documents, embedder, tenant, kept, ["velora peel", "brow lift"])
    await index(documents, embedder, tenant, forgotten, ["hydra glow"])

    async def posted() -> dict[str, int]:
        async with db.tenant(tenant) as conn:
            rows = await conn.fetch("SELECT lexeme, cardinality(chunks) AS n FROM knowledge.postings")
        return {row["lexeme"]: row["n"] for row in rows}

    assert set(await posted()) == {"price", "velora", "peel", "brow", "lift", "hydra", "glow"}
    await documents.forget(tenant, forgotten, OWNER)
    assert await posted() == {"price": 2, "velora": 1, "peel": 1, "brow": 1, "lift": 1}
    await documents.reingest(tenant, kept)
    await index(documents, embedder, tenant, kept, ["wax"], revision=2)
    assert await posted() == {"price": 1, "wax": 1}
    await documents.erase_tenant(tenant)
    assert await posted() == {}


def scans(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of the plan that reads a table."""
    own = [plan] if "Relation Name" in plan else []
    return own + [one for part in plan.get("Plans", ()) for one in scans(part)]


async def explained(conn: Connection, statement: str) -> list[dict[str, Any]]:
    text = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", ["velora peel", "brow lift"], 20)
    return scans(json.loads(text)[0]["Plan"] if isinstance(text, str) else text[0]["Plan"])


async def test_the_service_reads_the_lists_by_tenant_and_word_and_no_chunk(
    db: Database, migrated: MigratedDatabase
) -> None:
    """With row-level security in force: an operator that is not leakproof would be a filter over all the tenant's rows."""
    admin = await asyncpg.connect(migrated.admin_dsn)
    await admin.execute("SET session_replication_role = replica")  # no documents: the lists are enough for a plan
    await admin.execute(
        "INSERT INTO knowledge.postings (tenant_id, lexeme, document_id, chunks, sizes) "
        "SELECT md5('tenant ' || t)::uuid, 'word' || w, md5('document ' || w % 5)::uuid, ARRAY[md5('chunk')::uuid], ARRAY[1] "
        "FROM generate_series(1, 5) AS t, generate_series(1, 2000) AS w"
    )
    await admin.execute("RESET session_replication_role")
    await admin.execute("ANALYZE knowledge.postings")
    tenant = await admin.fetchval("SELECT md5('tenant 1')::uuid")
    await admin.close()

    async with db.tenant(tenant) as conn:
        assert await conn.fetchval("SELECT row_security_active('knowledge.postings')")
        read = await explained(conn, repository.BY_WORDS)

    assert {node["Relation Name"] for node in read} == {"documents", "postings"}
    (lists,) = [node for node in read if node["Relation Name"] == "postings"]
    assert lists["Index Name"] == "postings_pkey", lists
    assert "tenant_id =" in lists["Index Cond"] and "lexeme =" in lists["Index Cond"], lists
