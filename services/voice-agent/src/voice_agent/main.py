"""Composition root of the voice agent."""

from __future__ import annotations

from switchboard.blobs import Blobs
from switchboard.bus import Bus
from switchboard.bus.topology import SNAPSHOTS, TENANT_KEYS
from switchboard.contracts.base import Service as Name
from switchboard.errors import Unavailable
from switchboard.service import ASGIApp, Service, run
from switchboard.settings import load_or_exit
from switchboard.snapshot import SnapshotBook

from voice_agent.calls.replay import Replay
from voice_agent.calls.spool import Spool
from voice_agent.calls.stages import SECONDS, count_stages
from voice_agent.calls.standby import Standby, WrappedKeyBook
from voice_agent.settings import Settings
from voice_agent.worker import SERVICE, make_server

BEYOND_DRAIN_SECONDS = 5.0
"""The worker gives up on its calls this long before the process gives up on the worker."""


async def compose(service: Service[Settings]) -> ASGIApp | None:
    server = make_server(service.settings)
    registered = False

    def on_registered(*_: object) -> None:
        nonlocal registered
        registered = True

    async def ready() -> None:
        if not registered:
            raise Unavailable("not registered with LiveKit yet")

    calls = service.metrics.gauge("voice_agent.calls.active", "Calls in progress")
    calls.set_function(lambda: len(server.active_jobs))
    stages = service.metrics.histogram(
        "voice_agent.turn.stage.duration", "What a turn of a call waited for", ("stage",), buckets=SECONDS
    )
    service.background(
        "stages",
        count_stages(service.settings.worker.stages, lambda stage, seconds: stages.labels(stage).observe(seconds)),
    )
    server.on("worker_registered", on_registered)
    service.health.required("livekit", ready)
    service.on_close(server.aclose)
    service.on_drain(server.drain)
    _without_the_bus(service)
    service.background("worker", server.run())
    return None


def _without_the_bus(service: Service[Settings]) -> None:
    """What the worker keeps for its calls: decisions while the bus is away, and facts until it is back."""
    settings, worker = service.settings, service.settings.worker
    # Calls don't wait for it, so neither does the start.
    bus = Bus.begin(
        settings.nats,
        settings.sealing,
        Name.VOICE_AGENT,
        clock=service.clock,
        on_closed=lambda: service.fatal("the bus is closed"),
    )
    service.on_close(bus.drain)

    async def connected() -> None:
        if not bus.is_connected:
            raise Unavailable("the bus is away")

    service.health.degradable("nats", connected)
    book = SnapshotBook(bus.bucket(SNAPSHOTS), Blobs.open(settings.blobs))
    keys = WrappedKeyBook(bus.bucket(TENANT_KEYS))
    service.background("snapshots", book.run())
    service.background("wrapped keys", keys.run())
    service.background("standby", Standby(book, keys, bus.keyring, service.clock).serve(worker.standby))
    spool = Spool(worker.spool, worker.spool_mb * 1_000_000)
    waiting = service.metrics.gauge("voice_agent.spool.size", "Facts that wait for the bus", unit="By")
    waiting.set_function(spool.size)
    service.background("spool", Replay(spool, bus).run())


def patient(settings: Settings) -> Settings:
    """Calls in progress are the work in flight here: the general grace must not cut them off before the worker's own."""
    grace = max(settings.http.drain_grace_s, settings.worker.drain_timeout_s + BEYOND_DRAIN_SECONDS)
    return settings.model_copy(update={"http": settings.http.model_copy(update={"drain_grace_s": grace})})


def main() -> None:
    run(SERVICE, patient(load_or_exit(Settings)), compose)


if __name__ == "__main__":
    main()
