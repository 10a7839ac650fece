"""SQL of retrieval, in the caller's tenant transaction. All of one tenant's vectors are read: exact, and quick enough."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pgvector import Vector
from switchboard.db import Connection

_LIVE = (
    "knowledge.chunks AS c JOIN knowledge.documents AS d ON d.tenant_id = c.tenant_id AND d.id = c.document_id "
    "AND d.indexed_revision = c.revision"
)

# Inner product: the vectors have unit length, so it is the cosine.
NEAREST = (
    "SELECT q.n, hit.id FROM unnest($1::public.vector[]) WITH ORDINALITY AS q (v, n) CROSS JOIN LATERAL ("
    f"SELECT c.id, c.vector <#> q.v AS distance FROM {_LIVE} WHERE c.model = $2 ORDER BY distance, c.id LIMIT $3"
    ") AS hit ORDER BY q.n, hit.distance, hit.id"
)
# Full text scored like BM25 with a word counted once per chunk. PostgreSQL's own ts_rank doesn't know that "price" stands
# in every row of a price list and a treatment's name in one. "share" is how much of the question's words the chunk has,
# by weight; a question whose words are mostly elsewhere or nowhere is better left to the vectors.
# Only the lists of the words asked for are read, by their index (knowledge.postings); how many chunks there are, and how long
# they are on average, the documents' rows say. A list is read once however many queries have the word.
# Floating point sums depend on their order, and equal scores must stay equal: they are sorted by id.
BY_WORDS = (
    "WITH asked AS MATERIALIZED (SELECT q.n, w.lexeme FROM unnest($1::text[]) WITH ORDINALITY AS q (text, n), "
    "LATERAL unnest(to_tsvector('pg_catalog.english', q.text)) AS w"
    "), whole AS MATERIALIZED (SELECT COALESCE(sum(indexed_chunks), 0)::float8 AS n, "
    "COALESCE(sum(indexed_lexemes) / NULLIF(sum(indexed_chunks), 0), 1)::float8 AS size FROM knowledge.documents"
    "), listed AS MATERIALIZED (SELECT w.lexeme, p.chunks, p.sizes FROM (SELECT DISTINCT lexeme FROM asked) AS w "
    "JOIN knowledge.postings AS p USING (lexeme)"
    "), counted AS (SELECT lexeme, sum(cardinality(chunks))::float8 AS chunks FROM listed GROUP BY lexeme"
    "), weighed AS MATERIALIZED (SELECT a.n, a.lexeme, "
    "ln(1 + (whole.n - COALESCE(c.chunks, 0) + 0.5) / (COALESCE(c.chunks, 0) + 0.5)) AS weight "
    "FROM asked AS a CROSS JOIN whole LEFT JOIN counted AS c USING (lexeme)"
    "), totals AS (SELECT n, sum(weight ORDER BY lexeme) AS weight FROM weighed GROUP BY n"
    "), summed AS MATERIALIZED (SELECT w.n, c.id, c.size, sum(w.weight ORDER BY w.lexeme) AS found "
    "FROM weighed AS w JOIN listed AS l USING (lexeme) CROSS JOIN LATERAL unnest(l.chunks, l.sizes) AS c (id, size) "
    "GROUP BY w.n, c.id, c.size"
    ") SELECT t.n, hit.id, hit.found / t.weight AS share FROM totals AS t CROSS JOIN whole CROSS JOIN LATERAL ("
    "SELECT s.id, s.found, s.found * 2.2 / (1 + 1.2 * (0.25 + 0.75::float8 * s.size / whole.size)) AS score "
    "FROM summed AS s WHERE s.n = t.n ORDER BY score DESC, s.id LIMIT $2"
    ") AS hit ORDER BY t.n, hit.score DESC, hit.id"
)
SELECT_PASSAGES = (
    "SELECT c.id, c.document_id, d.name, c.heading, c.text, COALESCE((SELECT max(-(c.vector <#> q.v)) "
    "FROM unnest($2::public.vector[], $3::text[]) AS q (v, model) WHERE q.model = c.model), 0) AS similarity "
    f"FROM {_LIVE} WHERE c.id = ANY ($1)"
)
SELECT_SPACES = (
    "SELECT DISTINCT indexed_space FROM knowledge.documents WHERE indexed_revision IS NOT NULL ORDER BY indexed_space"
)
SELECT_STATE = "SELECT id, indexed_revision FROM knowledge.documents WHERE indexed_revision IS NOT NULL ORDER BY id"
SELECT_TEXTS = f"SELECT c.heading, c.text FROM {_LIVE} ORDER BY d.uploaded_at, d.id, c.ordinal"


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk as it is handed out. ``similarity``: the best cosine of any query in the chunk's space, 0 without one."""

    id: UUID
    document_id: UUID
    document_name: str
    heading: str
    text: str
    similarity: float


Hits = dict[int, list[tuple[UUID, float]]]
"""Position of the query (from 0) -> ids of chunks, best first, each with how much its rank counts (0..1)."""


async def nearest(conn: Connection, vectors: Sequence[Vector], model: str, limit: int) -> Hits:
    """The chunks with the nearest vectors of the same model."""
    rows = await conn.fetch(NEAREST, list(vectors), model, limit)
    return _by_query([(row["n"], row["id"], 1.0) for row in rows])


async def by_words(conn: Connection, queries: Sequence[str], limit: int) -> Hits:
    """The chunks that share the rarest words of each query."""
    rows = await conn.fetch(BY_WORDS, list(queries), limit)
    return _by_query([(row["n"], row["id"], row["share"]) for row in rows])


def _by_query(rows: Sequence[tuple[int, UUID, float]]) -> Hits:
    found: defaultdict[int, list[tuple[UUID, float]]] = defaultdict(list)
    for number, identifier, share in rows:
        found[number - 1].append((identifier, share))
    return found


async def spaces(conn: Connection) -> list[str]:
    """Those that the tenant's documents are in: more than one while they move from one to another."""
    return [row["indexed_space"] for row in await conn.fetch(SELECT_SPACES)]


async def passages(conn: Connection, ids: Sequence[UUID], vectors: Mapping[str, Sequence[Vector]]) -> dict[UUID, Found]:
    """``vectors``: the queries' by space."""
    flat = [(vector, space) for space, members in vectors.items() for vector in members]
    rows = await conn.fetch(SELECT_PASSAGES, list(ids), [vector for vector, _ in flat], [space for _, space in flat])
    return {
        row["id"]: Found(
            row["id"], row["document_id"], row["name"], row["heading"], row["text"], float(row["similarity"])
        )
        for row in rows
    }


async def state(conn: Connection) -> list[tuple[UUID, int]]:
    """(document, revision) of everything that searches see; changes exactly when the index does."""
    return [(row["id"], row["indexed_revision"]) for row in await conn.fetch(SELECT_STATE)]


async def texts(conn: Connection) -> list[tuple[str, str]]:
    """(heading, text) of every chunk, documents in order of upload."""
    return [(row["heading"], row["text"]) for row in await conn.fetch(SELECT_TEXTS)]
