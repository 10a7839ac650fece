"""Retrieval through rag-svc against one bare asyncpg query on the same tables, the embedding apart.

    python -m bench.retrieval [--quick] [--accept] [--seed N]

Ours is a search over the bus: rag-svc embeds the question, reads its tenant's chunks by meaning and by words under row-level
security, fuses both and answers with sealed passages; the time that it says the embedding took is taken off. The peer is
what one would write by hand: nearest vectors of a tenant, with their texts, in one statement. The floor is rag-svc's own
statements on a bare connection. 100 tenants with 2,000 chunks each. About five minutes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from fleet.models import EMBEDDINGS
from pgvector import Vector
from pgvector.asyncpg import register_vector
from rag_svc.main import PARAMETERS
from rag_svc.search import repository
from rag_svc.search.fusion import Ranking, fuse, query_weight
from rag_svc.search.service import CANDIDATES
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.contracts.documents import SEARCH, Search, SearchReply
from switchboard.db import Connection
from switchboard.db.database import SET_TENANT
from switchboard.embeddings import MiniLm
from switchboard.embeddings.minilm import MODEL
from switchboard.sealed import Sealed

from bench.frame.command import Options, Start, finish, run
from bench.frame.ground import Ground, ground
from bench.frame.interleave import LATENCY, Against, Side, interleave, one_by_one
from bench.frame.results import Goal
from bench.frame.statistics import figure
from bench.library import Library, Words, fill

OURS, BARE = "rag-svc over the bus, without embedding", "bare asyncpg, nearest vectors"
STATEMENTS = "rag-svc's statements on bare asyncpg"
LIMIT = 5
GOAL, GOAL_P95_MS = 3.0, 10.0
BY_HAND = (
    "SELECT c.id, c.heading, c.text FROM knowledge.chunks AS c WHERE c.tenant_id = $1 "
    "ORDER BY c.vector OPERATOR(public.<#>) $2::public.vector LIMIT $3"
)


@dataclass(frozen=True)
class Asked:
    tenant: UUID
    text: str
    vector: np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass
class Searches:
    """What the sides ask, and what is noted beside the latencies of a batch."""

    bus: Bus
    library: Library
    asked: Sequence[Asked]
    embed_ms: list[float] = field(default_factory=list)
    turn: int = 0

    def next(self) -> Asked:
        self.turn += 1
        return self.asked[self.turn % len(self.asked)]

    async def search(self, one: Asked, *more: str) -> SearchReply:
        body = Search(queries=tuple(Sealed(text) for text in (one.text, *more)), limit=LIMIT)
        return await self.bus.request(SEARCH, body, tenant_id=one.tenant)

    async def ours(self) -> float:
        began = time.perf_counter()
        reply = await self.search(self.next())
        seconds = time.perf_counter() - began - reply.timings.embed_ms / 1000
        self.embed_ms.append(reply.timings.embed_ms)
        if len(reply.passages) != LIMIT:
            raise AssertionError(f"{len(reply.passages)} passages instead of {LIMIT}")
        return seconds


async def by_statements(conn: Connection, one: Asked) -> list[UUID]:
    """As :meth:`rag_svc.search.service.Retrieval.search`, without the pool."""
    vector = Vector(one.vector)
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        await conn.execute(SET_TENANT, str(one.tenant))
        await repository.spaces(conn)
        near = await repository.nearest(conn, [vector], MODEL, CANDIDATES)
        worded = await repository.by_words(conn, [one.text], CANDIDATES)
        best = fuse([Ranking(method.get(0, []), query_weight(0)) for method in (worded, near)], LIMIT)
        await repository.passages(conn, [identifier for identifier, _ in best], {MODEL: [vector]})
    return [identifier for identifier, _ in best]


async def exactness(searches: Searches, conn: Connection, count: int) -> tuple[float, float]:
    """Recall of the nearest vectors against brute force in memory, and how many replies are what the statements give."""
    found = same = 0
    for one in searches.asked[:count]:
        async with conn.transaction(readonly=True):
            await conn.execute(SET_TENANT, str(one.tenant))
            hits = await repository.nearest(conn, [Vector(one.vector)], MODEL, CANDIDATES)
        exact = searches.library.nearest(one.tenant, one.vector, CANDIDATES)
        found += len(set(exact) & {identifier for identifier, _ in hits[0]})
        reply = await searches.search(one)
        same += [passage.passage_id for passage in reply.passages] == await by_statements(conn, one)
    return found / (count * CANDIDATES), same / count


async def questions(library: Library, count: int, seed: int) -> list[Asked]:
    draw, words = random.Random(seed), Words(seed)
    model = MiniLm.open(EMBEDDINGS.folder(), threads=1)
    asked = []
    for _ in range(count):
        text = words.text(draw.randint(4, 9))
        asked.append(Asked(draw.choice(library.tenants), text, model.embed_one(text)))
    model.close()
    return asked


async def prepare(servers: Ground, options: Options, tenants: int, chunks: int) -> Searches:
    library = await fill(await servers.postgres(), tenants, chunks, options.seed)
    keys = await servers.bus(Service.TENANT_SVC)
    for tenant in library.tenants:
        await keys.keyring.publish(tenant, keys.keyring.create(tenant))
    asked = await questions(library, 40 if options.quick else 400, options.seed)
    return Searches(await servers.bus(Service.VOICE_AGENT), library, asked)


async def sides_of(servers: Ground, searches: Searches) -> tuple[Side, Side, Side, Connection]:
    """Ours, the peer, the floor, and the floor's connection."""
    own, bare = await servers.postgres("rag_svc"), await servers.postgres()
    for connection in (own, bare):
        await register_vector(connection)
    for parameter, value in PARAMETERS.items():
        await own.execute("SELECT set_config($1, $2, false)", parameter, value)

    async def by_hand() -> float:
        one = searches.next()
        began = time.perf_counter()
        rows = await bare.fetch(BY_HAND, one.tenant, Vector(one.vector), LIMIT)
        seconds = time.perf_counter() - began
        if [row["id"] for row in rows] != searches.library.nearest(one.tenant, one.vector, LIMIT):
            raise AssertionError("the bare query found something else than brute force")
        return seconds

    async def statements() -> float:
        one = searches.next()
        began = time.perf_counter()
        await by_statements(own, one)
        return time.perf_counter() - began

    postgres, rag = servers.pid("postgres"), servers.pid("rag-svc")
    return (
        one_by_one(OURS, "ours", searches.ours, [*postgres, *rag]),
        one_by_one(BARE, "peer", by_hand, postgres),
        one_by_one(STATEMENTS, "floor", statements, postgres),
        own,
    )


async def measure(options: Options, start: Start) -> int:
    tenants, chunks = (3, 200) if options.quick else (100, 2000)
    units, blocks = (10, 2) if options.quick else (100, 10)
    async with ground("rag-svc") as servers:
        searches = await prepare(servers, options, tenants, chunks)
        *sides, own = await sides_of(servers, searches)
        recall, same = await exactness(searches, own, 10 if options.quick else 100)
        if same < 1:
            raise AssertionError(f"only {same:.0%} of the replies are what the statements give")
        trial = await interleave(sides, units=units, blocks=blocks, warmup=units)
        embed_ms = list(searches.embed_ms)
        three = [await timed(searches) for _ in range(units)]
    claims = [Against(BARE, LATENCY, GOAL), Against(STATEMENTS, LATENCY)]
    goal = Goal(of="p95", limit=GOAL_P95_MS)
    measured = (
        ("search over the bus, without embedding", trial.seconds(OURS), 1000, goal),
        ("embedding of the question (MiniLM on one core, within rag-svc)", embed_ms, 1, None),
        ("search with three readings of the question, without embedding", three, 1000, None),
    )
    figures = [
        figure(title, "ms", values, factor=factor, goal=limit, seed=options.seed)
        for title, values, factor, limit in measured
    ]
    notes = [
        f"{tenants} tenants with {chunks} chunks each; a search goes to one drawn at random.",
        f"Recall of the {CANDIDATES} nearest chunks against brute force in memory: {recall:.3f}.",
        "CPU is of PostgreSQL, rag-svc (embedding included) and the asking process.",
    ]
    return finish(
        "retrieval", options, start, [trial.case("a question", "search", claims, options.seed)], figures, notes
    )


async def timed(searches: Searches) -> float:
    one, two, three = searches.next(), searches.next(), searches.next()
    began = time.perf_counter()
    reply = await searches.search(one, two.text, three.text)
    return time.perf_counter() - began - reply.timings.embed_ms / 1000


def main(arguments: Sequence[str] | None = None) -> int:
    return run("Retrieval against a bare query.", measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
