"""Composition root of ingest-worker: settings -> resources -> handlers. Nothing else constructs anything."""

from __future__ import annotations

from typing import NoReturn

from switchboard import service
from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.contracts.base import Service
from switchboard.contracts.documents import DocumentUploaded
from switchboard.embeddings import Embedders, MiniLm
from switchboard.errors import Unavailable
from switchboard.service import ASGIApp, run
from switchboard.settings import load_or_exit

from ingest_worker.documents.pipeline import Ingestion, Resources
from ingest_worker.parsing.child import Limits
from ingest_worker.parsing.sandbox import Parser
from ingest_worker.settings import Settings

NAME = Service.INGEST_WORKER.value


async def compose(process: service.Service[Settings]) -> ASGIApp | None:
    settings, ingest = process.settings, process.settings.ingest
    faults = process.metrics.counter(
        "switchboard.embeddings.faults", "Providers that gave no vectors", ("endpoint", "fault")
    )
    embedders = await process.enter(
        Embedders.open(
            MiniLm.open(settings.embeddings.model_dir, threads=1),
            settings.providers.endpoints,
            on_fault=lambda endpoint, fault: faults.labels(endpoint, fault).inc(),
        )
    )
    blobs = Blobs.open(settings.blobs)
    bus = await Bus.connect(
        settings.nats, settings.sealing, Service.INGEST_WORKER, on_closed=lambda: process.fatal("the bus is closed")
    )
    process.on_close(bus.drain)
    process.on_drain(bus.stop_intake)
    process.health.required("bus", lambda: _connected(bus))
    process.health.required("blobs", blobs.ready)
    limits = Limits(cpu_s=ingest.cpu_s, memory_bytes=ingest.memory_mib * 1024 * 1024, max_pages=ingest.max_pages)
    resources = Resources(
        wire=bus,
        cipher=bus.keyring.cipher,
        blobs=blobs,
        parser=Parser(limits, ingest.deadline_s),
        embedders=embedders,
        clock=process.clock,
    )
    ingestion = Ingestion(resources, parallel=ingest.parallel, max_chunks=ingest.max_chunks)
    # No more than it works on: what waits here would wait for this process while another one is free.
    bus.consume({DocumentUploaded: ingestion.uploaded}, at_once=ingest.parallel)
    return None


async def _connected(bus: Bus) -> None:
    if not bus.is_connected:
        raise Unavailable("the bus is away")


def main() -> NoReturn:
    run(NAME, load_or_exit(Settings), compose)
