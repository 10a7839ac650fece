"""One connection to NATS, with the options that the measured traps ask for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import nats
import structlog
from nats.aio.client import Client
from nats.errors import Error, NoServersError
from prometheus_client import Counter

from switchboard.errors import Unavailable
from switchboard.settings import NatsSettings

_log = structlog.get_logger(__name__)
_errors = Counter(
    "switchboard_bus_errors", "Asynchronous errors of the NATS connection, permission violations included"
)
_reconnects = Counter("switchboard_bus_reconnects", "Times the NATS connection came back")

Callback = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


async def connect(
    settings: NatsSettings,
    *,
    name: str,
    inbox: str,
    on_closed: Callback = _nothing,
    on_reconnected: Callback = _nothing,
) -> Client:
    """Connect and stay connected: reconnects for ever; ``on_closed`` is called only when the connection is given up.

    ``Unavailable`` when no server answers the first time, so that the supervisor sees why the process can't start.
    """

    async def error(problem: Exception) -> None:
        # Permission violations of publishes and subscriptions reach a client only here, as text.
        _errors.inc()
        _log.error("bus error", error=str(problem))

    async def disconnected() -> None:
        _log.warning("bus disconnected")

    async def reconnected() -> None:
        _reconnects.inc()
        _log.info("bus reconnected")
        await on_reconnected()

    try:
        return await nats.connect(
            settings.url,
            user=settings.user,
            password=settings.password.get_secret_value(),
            name=name,
            inbox_prefix=inbox,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            connect_timeout=2,
            ping_interval=10,
            # With a buffer, requests made while disconnected are sent after the reconnect, long after their caller left.
            pending_size=0,
            error_cb=error,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            closed_cb=on_closed,
        )
    except (NoServersError, OSError, Error) as problem:
        raise Unavailable(f"can't connect to the bus: {type(problem).__name__}") from problem
