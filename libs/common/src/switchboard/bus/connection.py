"""One connection to NATS, with the options that the measured traps ask for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, Error, NoServersError

from switchboard import tasks
from switchboard.bus import metrics
from switchboard.errors import Unavailable
from switchboard.settings import NatsSettings

_log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 0.25

Callback = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


class LateClient(Client):
    """A client that may be handed out before it is connected: until then everything fails at once.

    nats-py writes what is sent before the first connection into a buffer, and forgets subscriptions made then.
    """

    made = False
    """Whether there has been a connection. After that the client reconnects by itself."""

    def _need_connection(self) -> None:
        if not self.made:
            raise ConnectionClosedError

    async def publish(self, *args: Any, **kwargs: Any) -> None:
        self._need_connection()
        await super().publish(*args, **kwargs)

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        self._need_connection()
        return await super().request(*args, **kwargs)

    async def subscribe(self, *args: Any, **kwargs: Any) -> Any:
        self._need_connection()
        return await super().subscribe(*args, **kwargs)

    async def close(self) -> None:
        # Its task that connects anew can outlive being cancelled, and would keep the process from ending.
        reconnecting = self._reconnection_task
        await super().close()
        await tasks.end(reconnecting)


async def connect(settings: NatsSettings, *, name: str, inbox: str) -> Client:
    """A connection of its own, for steps and operators' commands; as :func:`establish`."""
    client = LateClient()
    await establish(client, settings, name=name, inbox=inbox)
    return client


async def establish(
    client: LateClient,
    settings: NatsSettings,
    *,
    name: str,
    inbox: str,
    on_closed: Callback = _nothing,
    on_reconnected: Callback = _nothing,
) -> None:
    """Connect, however long it takes, and stay connected; ``on_closed`` is called only when the connection is given up."""

    async def error(problem: Exception) -> None:
        # Permission violations of publishes and subscriptions reach a client only here, as text.
        metrics.errors.inc()
        _log.error("bus error", error=str(problem))

    async def disconnected() -> None:
        _log.warning("bus disconnected")

    async def reconnected() -> None:
        metrics.reconnects.inc()
        _log.info("bus reconnected")
        await on_reconnected()

    try:
        await client.connect(
            settings.url,
            user=settings.user,
            password=settings.password.get_secret_value(),
            name=name,
            inbox_prefix=inbox,
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # it is slept for, any number will do
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
    client.made = True


async def flush(client: Client, seconds: int) -> None:
    """Wait until the server has processed all that was sent before; raises as nats-py does."""
    # nats-py writes a flush's PING past what still waits in its own buffer. That must go out first, or the server does not
    # know a subscription made just before when this returns.
    if isinstance(client, LateClient) and not client.made:
        raise ConnectionClosedError
    async with asyncio.timeout(seconds):
        await client._flush_pending(force_flush=True)
    await client.flush(timeout=seconds)
