"""Composition root of the voice agent."""

from __future__ import annotations

from switchboard.errors import Unavailable
from switchboard.service import ASGIApp, Service, run
from switchboard.settings import load_or_exit

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
    server.on("worker_registered", on_registered)
    service.health.required("livekit", ready)
    service.on_close(server.aclose)
    service.on_drain(server.drain)
    service.background("worker", server.run())
    return None


def patient(settings: Settings) -> Settings:
    """Calls in progress are the work in flight here: the general grace must not cut them off before the worker's own."""
    grace = max(settings.http.drain_grace_s, settings.worker.drain_timeout_s + BEYOND_DRAIN_SECONDS)
    return settings.model_copy(update={"http": settings.http.model_copy(update={"drain_grace_s": grace})})


def main() -> None:
    run(SERVICE, patient(load_or_exit(Settings)), compose)


if __name__ == "__main__":
    main()
