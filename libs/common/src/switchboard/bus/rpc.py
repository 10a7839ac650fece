"""Requests: a deadline, an actor and errors that look at the caller like they looked at the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from switchboard.bus import metrics
from switchboard.bus.envelope import ACTOR, CONTRACT, DEADLINE, ERROR, SOURCE, decode, encode
from switchboard.clock import Clock
from switchboard.contracts.base import Actor, Command, Contract, Rpc, Service
from switchboard.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidInput,
    NoResponder,
    SwitchboardError,
    Unavailable,
    as_public,
    from_wire,
)
from switchboard.keyring import Keyring
from switchboard.sealed import SealError
from switchboard.subjects import tenant_of
from switchboard.telemetry import context_headers, remote_span, span

_log = structlog.get_logger(__name__)

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)

MAX_IN_FLIGHT = 64
"""Requests that one process works on at once, per method; one more is told to try elsewhere."""

_deadline: ContextVar[float | None] = ContextVar("switchboard_rpc_deadline", default=None)


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler knows of a request besides its body. ``tenant_id`` is the subject's: verified by its sender."""

    tenant_id: UUID | None
    actor: Actor
    source: str
    deadline: float
    """Unix seconds."""


Handler = Callable[[RequestT, Call], Awaitable[ReplyT]]


def budget(clock: Clock, timeout: float) -> float:
    """``timeout`` seconds, or what is left of the request being served when that is less."""
    outer = _deadline.get()
    return timeout if outer is None else min(timeout, outer - clock.now().timestamp())


async def request(
    client: Client,
    spec: Rpc[RequestT, ReplyT] | Command[RequestT, ReplyT],
    subject: str,
    body: RequestT,
    *,
    tenant_id: UUID | None,
    actor: Actor,
    source: Service,
    keyring: Keyring,
    clock: Clock,
    timeout: float,
) -> ReplyT:
    """Ask and wait at most ``timeout`` seconds.

    Raises the server's error as it was, :class:`NoResponder` at once when nobody serves the method,
    :class:`DeadlineExceeded` when the answer does not come, :class:`Unavailable` when the bus is away.
    """
    name = spec.contract()
    seconds = budget(clock, timeout)
    error_type = "error"
    started = clock.monotonic()
    with span(f"request {name}", kind=SpanKind.CLIENT, attributes={"rpc.method": name}):
        try:
            if seconds <= 0:
                raise DeadlineExceeded(f"no time was left to ask {name}")
            cipher = await keyring.cipher(tenant_id)
            headers = {
                CONTRACT: name,
                SOURCE: source.value,
                ACTOR: actor.model_dump_json(),
                DEADLINE: str(int((clock.now().timestamp() + seconds) * 1000)),
                **context_headers(),
            }
            reply = await _ask(client, subject, encode(body, cipher, name), headers, seconds, name)
            if reply.headers and ERROR in reply.headers:
                raise from_wire(json.loads(reply.data))
            answer = decode(spec.reply, reply.data, cipher, _reply_purpose(name))
            error_type = ""
            return answer
        except SwitchboardError as error:
            error_type = error.code
            raise
        finally:
            metrics.asked.labels(name, error_type).observe(clock.monotonic() - started)


async def _ask(client: Client, subject: str, payload: bytes, headers: dict[str, str], seconds: float, name: str) -> Msg:
    try:
        return await client.request(subject, payload, timeout=seconds, headers=headers)
    except NoRespondersError:
        raise NoResponder(f"nobody serves {name} right now") from None
    except (NatsTimeoutError, TimeoutError):
        raise DeadlineExceeded(f"{name} did not answer in {seconds:.2f} s") from None
    except MaxPayloadError:
        raise InvalidInput(f"{name} is larger than the bus takes; send it by reference") from None
    except (NatsError, OSError):
        # Closed, reconnecting, draining, cut while writing: to a caller it is all the same.
        raise Unavailable("the bus is away") from None


def _reply_purpose(name: str) -> str:
    return name + "/reply"


class _NobodyWaits(Exception):
    """The deadline of the request itself has passed. Timers may be a moment early, so this is not asked of the clock."""


class Server:
    """Serves one method: tasks, not the subscription's own loop, which would take one request at a time."""

    def __init__(
        self,
        spec: Rpc[Any, Any] | Command[Any, Any],
        handler: Handler[Any, Any],
        keyring: Keyring,
        clock: Clock,
    ) -> None:
        self._spec = spec
        self._handler = handler
        self._keyring = keyring
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def on_message(self, msg: Msg) -> None:
        if self._closing or len(self._tasks) >= MAX_IN_FLIGHT:
            await _respond_error(msg, Unavailable("this process takes no more work right now"))
            return
        task = asyncio.create_task(self._serve(msg), name=f"rpc {self._spec.contract()}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        metrics.serving.labels(self._spec.contract()).inc()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        metrics.serving.labels(self._spec.contract()).dec()

    async def drain(self) -> None:
        """Refuse new requests and wait for those in hand."""
        self._closing = True
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, msg: Msg) -> None:
        name = self._spec.contract()
        headers: Mapping[str, str] = msg.headers or {}
        error_type = ""
        started = self._clock.monotonic()
        with remote_span(f"serve {name}", headers, kind=SpanKind.SERVER, attributes={"rpc.method": name}):
            try:
                payload = await self._answer(msg, headers, name)
                await self._reply(msg, payload, headers, name)
            except _NobodyWaits:
                error_type = DeadlineExceeded.code
                metrics.late_replies.labels(name).inc()
            except SwitchboardError as error:
                error_type = error.code
                await self._refuse(msg, error, headers, name)
            except Exception as error:  # the border: whatever it was, the caller is told, and the log has the trace
                error_type = "internal"
                _log.exception("rpc handler failed", contract=name, error=type(error).__name__)
                await self._refuse(msg, as_public(error), headers, name)
            finally:
                metrics.served.labels(name, error_type).observe(self._clock.monotonic() - started)

    async def _answer(self, msg: Msg, headers: Mapping[str, str], name: str) -> bytes:
        if headers.get(CONTRACT) != name:
            raise InvalidInput(f"this method speaks {name}")
        deadline = _deadline_of(headers)
        if deadline is None:
            raise InvalidInput("the envelope names no deadline")
        left = deadline - self._clock.now().timestamp()
        if left <= 0:
            # Its caller has given up; doing the work now could only surprise somebody.
            raise _NobodyWaits
        tenant_id = tenant_of(msg.subject)
        try:
            actor = Actor.model_validate_json(headers.get(ACTOR, "{}"))
        except ValidationError:
            raise InvalidInput("the envelope names no actor") from None
        call = Call(tenant_id, actor, headers.get(SOURCE, ""), deadline)
        try:
            cipher = await self._keyring.cipher(tenant_id)
            body = decode(self._spec.request, msg.data, cipher, name)
            held = _deadline.set(deadline)
            # A task for each request: what is bound in its context ends with it.
            structlog.contextvars.bind_contextvars(tenant_id=tenant_id.hex if tenant_id else "_")
            try:
                async with asyncio.timeout(left):
                    reply = await self._handler(body, call)
            finally:
                _deadline.reset(held)
            return encode(reply, cipher, _reply_purpose(name))
        except SealError:
            raise InternalError("sealed content could not be opened") from None
        except TimeoutError:
            raise _NobodyWaits from None

    async def _reply(self, msg: Msg, payload: bytes, headers: Mapping[str, str], name: str) -> None:
        if not self._is_late(headers, name):
            # Not msg.respond: it sends the request's headers back, for the asker to read them all again.
            await msg._client.publish(msg.reply, payload)

    async def _refuse(self, msg: Msg, error: SwitchboardError, headers: Mapping[str, str], name: str) -> None:
        if not self._is_late(headers, name):
            await _respond_error(msg, error)

    def _is_late(self, headers: Mapping[str, str], name: str) -> bool:
        """Whether nobody waits for a reply any more; counted."""
        deadline = _deadline_of(headers)
        late = deadline is not None and deadline <= self._clock.now().timestamp()
        if late:
            metrics.late_replies.labels(name).inc()
        return late


def _deadline_of(headers: Mapping[str, str]) -> float | None:
    """Unix seconds; ``None`` when the envelope has none that can be read."""
    try:
        return int(headers[DEADLINE]) / 1000
    except (KeyError, ValueError):
        return None


async def _respond_error(msg: Msg, error: SwitchboardError) -> None:
    if not msg.reply:
        return
    await msg._client.publish(msg.reply, json.dumps(error.to_wire()).encode(), headers={ERROR: error.code})
