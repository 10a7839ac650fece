"""Facts in: at least once, in bounded parallel, with delays between tries and dead letters at the end.

A handler acknowledges by returning, which it does after its transaction has committed. What it raises decides the rest: an
error that can't be mended by trying again goes to the dead letters at once, anything else after :data:`RETRY_DELAYS`. While
something that the handler stands on is away (``Unavailable``) the message is tried again in hand, which counts as one try.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from opentelemetry.trace import SpanKind

from switchboard.bus import metrics
from switchboard.bus.envelope import BROKER_ID, CONTRACT, MESSAGE_ID, check_subject, decode
from switchboard.bus.topology import ACK_WAIT_SECONDS
from switchboard.contracts.base import Fact
from switchboard.contracts.catalogue import FACTS_BY_CONTRACT
from switchboard.errors import InvalidInput, SwitchboardError, Unavailable
from switchboard.ids import parse_token
from switchboard.keyring import Keyring
from switchboard.sealed import SealError
from switchboard.subjects import NOBODY, dead_letter, parse_fact
from switchboard.telemetry import remote_span

_log = structlog.get_logger(__name__)

RETRY_DELAYS: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0, 60.0)
"""Seconds before the second, third, ... try; after the last one the message is a dead letter."""

AWAY_DELAYS: tuple[float, ...] = (0.1, 0.3, 1.0)
"""Seconds between tries in hand; the last one goes on."""

AWAY_SECONDS = 300.0
"""How long one delivery is tried in hand: an outage of half an hour buries nothing."""

IN_HAND = 32
"""Messages that one process has taken of one durable and not yet answered, unless its service says otherwise. What it
holds, no other copy can take."""

FETCH_SECONDS = 5.0
DEAD_REASON = "Switchboard-Dead-Reason"
DEAD_SUBJECT = "Switchboard-Dead-Subject"
DEAD_TRIES = "Switchboard-Dead-Tries"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of a fact. ``message_id`` is the inbox key; ``attempt`` counts from 1."""

    message_id: UUID
    attempt: int
    subject: str


Handler = Callable[[Any, Delivery], Awaitable[None]]


class ConsumerLoop:
    """Pulls one durable and runs its handlers; messages of one entity one after the other, entities side by side.

    What one entity's handler does, or fails to do, holds up that entity and nobody else, until :data:`IN_HAND` messages
    are in hand.
    """

    def __init__(
        self,
        js: JetStreamContext,
        stream: str,
        durable: str,
        handlers: Mapping[type[Fact], Handler],
        keyring: Keyring,
        connection: Callable[[], int] = lambda: 0,
        at_once: int = IN_HAND,
    ) -> None:
        """``connection`` counts the connections that there have been to the broker; ``at_once`` is the most in hand."""
        self._at_once = at_once
        metrics.in_hand.labels(durable).set_function(lambda: len(self._in_hand))
        self._connection = connection
        self._js = js
        self._stream = stream
        self._durable = durable
        self._handlers = handlers
        self._keyring = keyring
        self._stopping = asyncio.Event()
        self._freed = asyncio.Event()
        self._lanes: dict[str, deque[Msg]] = {}
        self._in_hand: dict[int, tuple[Msg, int]] = {}

    def stop(self) -> None:
        """Fetch no more; what is in hand is finished."""
        self._stopping.set()
        self._freed.set()

    async def run(self) -> None:
        """Until :meth:`stop`, and then until what is in hand is done. Outages of the broker are waited out."""
        keeping = asyncio.create_task(self._keep_alive(), name=f"in progress {self._durable}")
        try:
            async with asyncio.TaskGroup() as lanes:
                await self._take(lanes)
        finally:
            keeping.cancel()

    async def _take(self, lanes: asyncio.TaskGroup) -> None:
        subscription: JetStreamContext.PullSubscription | None = None
        while (room := await self._room()) > 0:
            try:
                if subscription is None:
                    subscription = await self._js.pull_subscribe_bind(self._durable, self._stream)
                messages = await self._fetch(subscription, room)
            except (NatsTimeoutError, TimeoutError):  # nothing came; before OSError, whose subclass TimeoutError is
                continue
            except (NatsError, OSError) as error:
                # Yield before trying again: an unusable connection makes fetch fail at once, and a hot loop would starve
                # everything else in the process.
                _log.warning("fetch failed", durable=self._durable, error=type(error).__name__)
                subscription = None
                await self._pause(1.0)
                continue
            for msg in messages:
                self._line_up(msg, lanes)

    async def _room(self) -> int:
        """How many more messages may be taken, once it is at least one; 0 when a stop is asked for."""
        while len(self._in_hand) >= self._at_once and not self._stopping.is_set():
            self._freed.clear()
            await self._freed.wait()
        return 0 if self._stopping.is_set() else self._at_once - len(self._in_hand)

    async def _fetch(self, subscription: JetStreamContext.PullSubscription, most: int) -> list[Msg]:
        """The next messages, or nothing as soon as a stop is asked for."""
        fetch = asyncio.ensure_future(subscription.fetch(most, timeout=FETCH_SECONDS))
        stop = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({fetch, stop}, return_when=asyncio.FIRST_COMPLETED)
            if fetch.done():
                return fetch.result()
            return []
        finally:
            stop.cancel()
            if not fetch.done():
                fetch.cancel()
                with suppress(asyncio.CancelledError, NatsError):
                    await fetch

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _line_up(self, msg: Msg, lanes: asyncio.TaskGroup) -> None:
        self._in_hand[id(msg)] = (msg, self._connection())
        entity = msg.subject.rpartition(".")[0]
        if entity in self._lanes:
            self._lanes[entity].append(msg)
            return
        self._lanes[entity] = deque([msg])
        lanes.create_task(self._run_lane(entity))

    async def _run_lane(self, entity: str) -> None:
        lane = self._lanes[entity]
        while lane:
            msg = lane.popleft()
            await self._handle(msg)
            del self._in_hand[id(msg)]
            self._freed.set()
        del self._lanes[entity]

    async def _keep_alive(self) -> None:
        """Tell the server that what is in hand, waiting in its lane or in a long handler, is not lost."""
        while True:
            await asyncio.sleep(ACK_WAIT_SECONDS / 3)
            for msg, _ in list(self._in_hand.values()):
                if self._answerable(msg):
                    with suppress(NatsError, OSError):
                        await msg.in_progress()

    def _answerable(self, msg: Msg) -> bool:
        """Whether an answer would be about this message.

        Answers name a sequence number, and a broker that came back with an older store has given it to another message:
        that one would be lost. What came over an earlier connection is not answered, and comes again.
        """
        return self._in_hand[id(msg)][1] == self._connection()

    async def _nak(self, msg: Msg, delay: float) -> None:
        if self._answerable(msg):
            with suppress(NatsError, OSError):
                await msg.nak(delay=delay)

    async def _handle(self, msg: Msg) -> None:
        headers: Mapping[str, str] = msg.headers or {}
        name = headers.get(CONTRACT, "")
        label = name if name in FACTS_BY_CONTRACT else "unknown"
        attempt = int(msg.metadata.num_delivered or 1)
        if attempt > len(RETRY_DELAYS) + 1:
            # A message that kills its process never reaches the lines below; its count does.
            await self._bury(msg, headers, "tries-used-up", attempt)
            return
        error_type = ""
        clock = asyncio.get_running_loop().time
        started = clock()
        with remote_span(
            f"process {label}",
            headers,
            kind=SpanKind.CONSUMER,
            attributes={"messaging.operation.name": "process", "messaging.message.type": label},
        ):
            try:
                await self._patiently(msg, headers, name, attempt)
            except Exception as error:
                error_type = error.code if isinstance(error, SwitchboardError) else "internal"
                await self._failed(msg, headers, error, attempt)
            else:
                await self._acknowledge(msg)
            finally:
                metrics.processed.labels(label, error_type).observe(clock() - started)

    async def _patiently(self, msg: Msg, headers: Mapping[str, str], name: str, attempt: int) -> None:
        """:meth:`_dispatch`, again while what the handler needs is away: that is no fault of the message's."""
        clock = asyncio.get_running_loop().time
        until = clock() + AWAY_SECONDS
        for tried in itertools.count():
            try:
                await self._dispatch(msg, headers, name, attempt)
                return
            except Unavailable as error:
                if self._stopping.is_set() or clock() >= until:
                    raise
                if tried == 0:
                    _log.warning("delivery waits", durable=self._durable, reason=error.code, attempt=attempt)
                await self._pause(AWAY_DELAYS[min(tried, len(AWAY_DELAYS) - 1)])

    async def _acknowledge(self, msg: Msg) -> None:
        """The work is done: an acknowledgement that can't be sent is no failure of it. The message comes again."""
        if not self._answerable(msg):
            return
        try:
            await msg.ack()
        except (NatsError, OSError) as error:
            _log.warning("not acknowledged", durable=self._durable, error=type(error).__name__)

    async def _dispatch(self, msg: Msg, headers: Mapping[str, str], name: str, attempt: int) -> None:
        model = FACTS_BY_CONTRACT.get(name)
        handler = self._handlers.get(model) if model is not None else None
        if model is None or handler is None:
            raise InvalidInput("no handler takes this contract")
        message_id = parse_token(headers.get(MESSAGE_ID, ""), "message_id")
        tenant_id = parse_fact(msg.subject).tenant_id
        try:
            fact = decode(model, msg.data, await self._keyring.cipher(tenant_id), name)
        except SealError:
            raise InvalidInput("sealed content can't be opened: its tenant has no key any more") from None
        check_subject(fact, msg.subject)
        with structlog.contextvars.bound_contextvars(tenant_id=tenant_id.hex if tenant_id else NOBODY):
            await handler(fact, Delivery(message_id, attempt, msg.subject))

    async def _failed(self, msg: Msg, headers: Mapping[str, str], error: Exception, attempt: int) -> None:
        hopeless = isinstance(error, InvalidInput)
        reason = error.code if isinstance(error, SwitchboardError) else type(error).__name__
        if hopeless or attempt > len(RETRY_DELAYS):
            _log.error("dead letter", durable=self._durable, reason=reason, attempt=attempt, exc_info=error)
            await self._bury(msg, headers, reason, attempt)
            return
        _log.warning("delivery failed", durable=self._durable, reason=reason, attempt=attempt, exc_info=error)
        await self._nak(msg, RETRY_DELAYS[attempt - 1])

    async def _bury(self, msg: Msg, headers: Mapping[str, str], reason: str, attempt: int) -> None:
        """Copy to the dead letters, then acknowledge. When the copy fails, the message comes again after a while."""
        # Nats-* headers must not travel: Nats-Expected-Stream alone would make the copy fail for ever.
        kept = {key: value for key, value in headers.items() if not key.startswith("Nats-")}
        kept |= {DEAD_REASON: reason, DEAD_SUBJECT: msg.subject, DEAD_TRIES: str(attempt)}
        # With the sequence: a message that was replayed and fails again soon has the same id, and the broker would take its
        # second burial for a copy of the first, which replay has removed.
        stored = f"{self._stream}-{msg.metadata.sequence.stream}"
        kept[BROKER_ID] = f"dead-{self._durable}-{stored}-{headers.get(MESSAGE_ID, '')}"
        try:
            tenant_id = parse_fact(msg.subject).tenant_id
        except SwitchboardError:
            tenant_id = None
        try:
            await self._js.publish(dead_letter(tenant_id, self._durable), msg.data, headers=kept, timeout=5.0)
        except (NatsError, OSError):
            _log.exception("could not write a dead letter", durable=self._durable)
            await self._nak(msg, RETRY_DELAYS[-1])
        else:
            await self._acknowledge(msg)
