"""Composition root of rag-svc: settings -> resources -> handlers. Nothing else constructs anything."""

from __future__ import annotations

from typing import NoReturn

import asyncpg
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from pgvector.asyncpg import register_vector
from switchboard import service
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS
from switchboard.contracts.base import Service
from switchboard.contracts.tenants import ConfigurationPublished
from switchboard.db import Connection, Database
from switchboard.embeddings import Embedders, MiniLm
from switchboard.errors import Unavailable
from switchboard.outbox import Relay
from switchboard.repeats import Repeats
from switchboard.service import ASGIApp, run
from switchboard.service.litestar_problems import problem_handlers
from switchboard.settings import load_or_exit
from switchboard.snapshot import SnapshotBook

from rag_svc.documents.endpoints import operators_router
from rag_svc.documents.handlers import DocumentHandlers
from rag_svc.documents.service import Documents
from rag_svc.embedding.handlers import ConfigurationHandlers
from rag_svc.embedding.models import Choices
from rag_svc.embedding.service import Reembedding
from rag_svc.search.handlers import SearchHandlers
from rag_svc.search.service import Retrieval
from rag_svc.settings import Settings

NAME = Service.RAG_SVC.value

# A search's statements are planned once for a connection. PostgreSQL guesses that arrays have many members, so it would find
# a plan for the parameters at hand cheaper each time, and make the same one again: a millisecond of each search.
PARAMETERS = {"plan_cache_mode": "force_generic_plan"}


async def vector_codec(conn: Connection) -> None:
    """pgvector's binary form on every new connection."""
    assert isinstance(conn, asyncpg.Connection)  # the pool prepares bare connections
    await register_vector(conn)


async def compose(process: service.Service[Settings]) -> ASGIApp:
    settings = process.settings
    offline = MiniLm.open(settings.embeddings.model_dir)
    offline.embed_one("warm up")  # the first run allocates; a caller shouldn't wait for it
    faults = process.metrics.counter(
        "switchboard.embeddings.faults", "Providers that gave no vectors", ("endpoint", "fault")
    )
    embedders = await process.enter(
        Embedders.open(
            offline,
            settings.providers.endpoints,
            on_fault=lambda endpoint, fault: faults.labels(endpoint, fault).inc(),
        )
    )
    db = await process.enter(Database.open(settings.database, name=NAME, init=vector_codec, parameters=PARAMETERS))
    blobs = Blobs.open(settings.blobs)
    bus = await Bus.connect(
        settings.nats, settings.sealing, Service.RAG_SVC, on_closed=lambda: process.fatal("the bus is closed")
    )
    process.on_close(bus.drain)
    process.on_drain(bus.stop_intake)
    process.health.required("postgres", db.ready)
    process.health.required("bus", lambda: _connected(bus))
    process.health.degradable("blobs", blobs.ready)

    book = SnapshotBook(bus.bucket(SNAPSHOTS), blobs)
    process.background("snapshots", book.run())
    choices = Choices(book, embedders)
    repeats = Repeats("knowledge", bus.keyring, process.clock)
    documents = Documents(db, blobs, bus.encode, repeats, choices, process.clock)
    reembedding = Reembedding(documents, choices, embedders, book.tenants, process.clock)
    process.background("kept answers", repeats.sweep(db))
    process.background("outbox relay", Relay(db, "knowledge", bus, process.clock.monotonic).run())
    await DocumentHandlers(documents).serve(bus)
    retrieval = Retrieval(db, embedders, choices, process.clock, rest_s=settings.search.provider_rest_s)
    await SearchHandlers(retrieval).serve(bus)
    bus.consume({ConfigurationPublished: ConfigurationHandlers(reembedding, book.at_least).published})
    process.background("re-embedding", reembedding.run(settings.reembedding.sweep_s))
    return Litestar(
        route_handlers=[operators_router(documents, settings.operators.token)],
        exception_handlers=problem_handlers(),
        openapi_config=OpenAPIConfig(title="rag-svc, operators' routes", version="1"),
        logging_config=None,
    )


async def _connected(bus: Bus) -> None:
    if not bus.is_connected:
        raise Unavailable("the bus is away")


def main() -> NoReturn:
    run(NAME, load_or_exit(Settings), compose)
