"""The life of a process: compose, serve, drain on SIGTERM, close in reverse order, exit with a status that means
something.

On SIGTERM (or SIGINT): readiness turns 503, new requests are refused, the ``on_drain`` hooks stop the other intakes
(bus, worker), what is in flight finishes within ``http.drain_grace_s``, resources close, exit 0. A second signal cuts
the wait. Exit 1 when something failed for good or work had to be cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Generic, NoReturn, TypeVar

import structlog
import uvicorn

from switchboard import tasks
from switchboard.clock import Clock, SystemClock
from switchboard.errors import Unavailable
from switchboard.ids import Ids
from switchboard.service.asgi import ASGIApp, Shell
from switchboard.service.health import Health
from switchboard.settings import HttpSettings, ServiceSettings
from switchboard.telemetry import Metrics, setup

_log = structlog.get_logger(__name__)

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
T = TypeVar("T")

EXIT_OK = 0
EXIT_FAILED = 1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Hook = Callable[[], Awaitable[object]]


class Service(Generic[SettingsT]):
    """What a composition root builds on. Made by :func:`run`; tests make their own."""

    def __init__(self, name: str, settings: SettingsT, clock: Clock | None = None) -> None:
        self.name = name
        self.settings = settings
        self.clock = clock or SystemClock()
        self.ids = Ids(self.clock)
        self.health = Health()
        self.metrics = Metrics()
        self.stopping = asyncio.Event()
        """Set when the process begins to stop; long-lived responses end then."""
        self.port: int | None = None
        """The port in use, once it serves."""
        self.failure: str | None = None
        self.trust_inbound_trace = True
        self._hurry = asyncio.Event()
        self._stack = AsyncExitStack()
        self._drains: list[Hook] = []
        self._tasks: list[asyncio.Task[object]] = []
        self._composing: asyncio.Future[ASGIApp | None] | None = None

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open ``resource`` for as long as the process lives; the last one opened is closed first."""
        return await self._stack.enter_async_context(resource)

    def on_close(self, hook: Hook) -> None:
        """Called at the end, in its place among the resources."""
        self._stack.push_async_callback(hook)

    def on_drain(self, hook: Hook) -> None:
        """Called when the process begins to stop: take no new work, return when what is in hand is done."""
        self._drains.append(hook)

    def background(self, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Run ``work`` as long as the process lives; that it ends by itself, or fails, ends the process (exit 1).

        Cancelled after the drain, before resources are closed.
        """
        task: asyncio.Task[object] = asyncio.create_task(work, name=name)
        task.add_done_callback(self._background_ended)
        self._tasks.append(task)
        return task

    def _background_ended(self, task: asyncio.Task[object]) -> None:
        if task.cancelled() or self.stopping.is_set():
            return
        error = task.exception()
        if error is not None:
            _log.error("background task failed", task=task.get_name(), exc_info=error)
        self.fatal(f"background task {task.get_name()} ended")

    def fatal(self, reason: str) -> None:
        """This process can't go on (the bus is closed for good): stop as on SIGTERM, but exit 1.

        Once it is stopping this does nothing: closing the bus in good order also reports that the bus is closed.
        """
        if self.stopping.is_set():
            return
        self.failure = reason
        _log.error("fatal", reason=reason)
        self.stop()

    def stop(self) -> None:
        """Begin to stop, as SIGTERM does."""
        self.health.draining = True
        self.stopping.set()

    def _signalled(self) -> None:
        if self.stopping.is_set():
            self._hurry.set()
        elif self._composing is not None:
            self.stop()
            self._composing.cancel()  # nothing has been taken on yet, and what it waits for may never come
        else:
            self.stop()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._signalled)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


Compose = Callable[[Service[SettingsT]], Awaitable[ASGIApp | None]]


def run(name: str, settings: SettingsT, compose: Compose[SettingsT]) -> NoReturn:
    """The whole process: telemetry, :func:`serve`, exit status. Call it from ``main`` and nothing after it."""
    telemetry = setup(name, settings.telemetry)
    try:
        status = asyncio.run(_main(name, settings, compose))
    finally:
        telemetry.shutdown()
    raise SystemExit(status)


async def _main(name: str, settings: SettingsT, compose: Compose[SettingsT]) -> int:
    return await serve(Service(name, settings), compose)


async def serve(service: Service[SettingsT], compose: Compose[SettingsT]) -> int:
    """Compose and serve until a signal, :meth:`Service.stop` or :meth:`Service.fatal`; the exit status."""
    with service._signals():
        try:
            app = await _compose(service, compose)
            if app is not _STOPPED:
                await _serve(service, app)
        except Exception as error:
            service.failure = service.failure or type(error).__name__
            _log.error("the process failed", service=service.name, exc_info=error)
        finally:
            await _close(service)
    return EXIT_OK if service.failure is None else EXIT_FAILED


async def _stopped(_scope: object, _receive: object, _send: object) -> None:
    """Stands for "told to stop before there was anything to serve"."""


_STOPPED: ASGIApp = _stopped


async def _compose(service: Service[SettingsT], compose: Compose[SettingsT]) -> ASGIApp | None:
    composing: asyncio.Future[ASGIApp | None] = asyncio.ensure_future(compose(service))
    service._composing = composing
    try:
        return await composing
    except asyncio.CancelledError:
        if service.stopping.is_set():
            return _STOPPED
        composing.cancel()
        raise
    finally:
        service._composing = None


async def _serve(service: Service[SettingsT], app: ASGIApp | None) -> None:
    http = service.settings.http
    shell = Shell(app, service.health, service.metrics, service.clock, trust_inbound_trace=service.trust_inbound_trace)
    listener = _listen(http)

    def started() -> None:
        service.port = int(listener.getsockname()[1])
        _log.info("serving", host=http.host, port=service.port)

    server = _Server(
        uvicorn.Config(
            shell,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="on",
            timeout_graceful_shutdown=1,  # in-flight work has ended or been given up by then
        ),
        started,
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
    stopping = asyncio.create_task(service.stopping.wait(), name="stopping")
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not serving.done():
        _log.info("draining", in_flight=shell.in_flight.count)
        await _drain(service, shell, http)
        server.should_exit = True
    await serving
    if not service.stopping.is_set():
        service.fatal("the HTTP application did not start")


async def _drain(service: Service[SettingsT], shell: Shell, http: HttpSettings) -> None:
    """Until everything in flight is done, the grace is over or a second signal comes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(http.drain_delay_s):
            await service._hurry.wait()
    work = asyncio.create_task(_finish(service, shell), name="drain")
    hurry = asyncio.create_task(service._hurry.wait(), name="hurry")
    await asyncio.wait({work, hurry}, timeout=http.drain_grace_s, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not work.done():
        work.cancel()
        service.failure = service.failure or "work in flight was cut off"
        _log.warning("drain cut short", in_flight=shell.in_flight.count)
    await asyncio.gather(work, hurry, return_exceptions=True)


async def _finish(service: Service[SettingsT], shell: Shell) -> None:
    work = [*(hook() for hook in service._drains), shell.in_flight.idle()]
    for outcome in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(outcome, BaseException):
            service.failure = service.failure or "a drain hook failed"
            _log.error("drain hook failed", exc_info=outcome)


async def _close(service: Service[SettingsT]) -> None:
    service.stop()
    await tasks.end(*service._tasks)
    try:
        async with asyncio.timeout(service.settings.http.drain_grace_s):
            await service._stack.aclose()
    except Exception as error:
        service.failure = service.failure or "a resource did not close"
        _log.error("close failed", exc_info=error)
    _log.info("stopped", failure=service.failure)


def _listen(http: HttpSettings) -> socket.socket:
    """Bound here and not by uvicorn, which exits the interpreter when the port is taken."""
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    # The protocol is named because asyncio sets TCP_NODELAY only where it is. Without, the body of an answer waits for the
    # client's delayed acknowledgement of its head: 40 ms a request on a connection that is kept open.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" serves IPv4 as well
        listener.bind((http.host, http.port))
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"can't listen on {http.host} port {http.port} ({error.strerror}); "
            "set SWITCHBOARD_HTTP__HOST or SWITCHBOARD_HTTP__PORT"
        ) from error
    listener.setblocking(False)
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which closes the socket at once and ends the process with -15."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
