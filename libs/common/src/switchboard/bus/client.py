"""The bus as a service sees it: publish facts, ask, serve, consume, speak live, read buckets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind

from switchboard import subjects, tasks
from switchboard.bus import deadletters, metrics, rpc
from switchboard.bus.connection import LateClient, establish, flush
from switchboard.bus.consumer import IN_HAND, ConsumerLoop
from switchboard.bus.consumer import Handler as FactHandler
from switchboard.bus.envelope import BROKER_ID, CONTRACT, Message, decode, encode_fact, encode_live
from switchboard.bus.kv import Bucket
from switchboard.bus.topology import STREAM_OF, TENANT_KEYS, durable
from switchboard.clock import Clock, SystemClock
from switchboard.contracts.base import Actor, Command, Contract, Domain, Fact, Live, Rpc, Service
from switchboard.contracts.catalogue import LIVES
from switchboard.errors import InvalidInput, SwitchboardError, Unavailable
from switchboard.ids import Ids
from switchboard.keyring import Keyring
from switchboard.sealed import SealError
from switchboard.settings import NatsSettings, SealingSettings
from switchboard.telemetry import context_headers, span

_log = structlog.get_logger(__name__)
_LIVES: dict[str, type[Live]] = {live.contract(): live for live in LIVES}

RequestT = TypeVar("RequestT", bound=Contract)
ReplyT = TypeVar("ReplyT", bound=Contract)
FIRST_CONNECT_SECONDS = 10.0
PUBLISH_SECONDS = 5.0
FLUSH_SECONDS = 5


def _nothing() -> None:
    return


class Bus:
    """One service's connection. Made by :meth:`connect` or :meth:`begin`; closed by :meth:`drain`."""

    def __init__(self, client: Client, service: Service, sealing: SealingSettings, clock: Clock) -> None:
        self._client = client
        self._js = client.jetstream(timeout=PUBLISH_SECONDS)
        self._service = service
        self._clock = clock
        self._on_closed: Callable[[], None] = _nothing
        self._making: asyncio.Task[None] | None = None
        self._buckets: dict[str, Bucket] = {}
        self._servers: list[rpc.Server] = []
        self._loops: list[ConsumerLoop] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._rpc_subscriptions: list[Any] = []
        self.ids = Ids(clock)
        master, *others = sealing.masters()
        self.keyring = Keyring(master, self.bucket(TENANT_KEYS), clock, others=others)

    @classmethod
    def begin(
        cls,
        settings: NatsSettings,
        sealing: SealingSettings,
        service: Service,
        *,
        clock: Clock | None = None,
        on_closed: Callable[[], None] = _nothing,
    ) -> Bus:
        """A bus that is being connected, for whoever has something to do meanwhile; needs a running loop.

        Until :meth:`connected` returns, whatever needs the server raises ``Unavailable``. It is tried until it succeeds.
        """
        client = LateClient()
        bus = cls(client, service, sealing, clock or SystemClock())
        bus._on_closed = on_closed

        async def reconnected() -> None:
            for bucket in bus._buckets.values():
                bucket.watch_again()

        async def closed() -> None:
            on_closed()

        inbox = f"_INBOX_{service.value}"
        making = establish(
            client, settings, name=service.value, inbox=inbox, on_closed=closed, on_reconnected=reconnected
        )
        bus._making = asyncio.create_task(making, name="connect to the bus")
        return bus

    @classmethod
    async def connect(
        cls,
        settings: NatsSettings,
        sealing: SealingSettings,
        service: Service,
        *,
        clock: Clock | None = None,
        on_closed: Callable[[], None] = _nothing,
    ) -> Bus:
        """``on_closed`` is called when the connection is given up for good: the process should exit non-zero then.

        ``Unavailable`` when no server answers the first time, so that the supervisor sees why the process can't start.
        """
        bus = cls.begin(settings, sealing, service, clock=clock, on_closed=on_closed)
        try:
            await bus.connected(FIRST_CONNECT_SECONDS)
        except BaseException:
            await bus.drain()
            raise
        return bus

    async def connected(self, seconds: float | None) -> None:
        """Until there has been a connection; ``Unavailable`` when there is none after ``seconds`` (``None``: for ever)."""
        if self._making is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._making)
        except TimeoutError:
            raise Unavailable(f"no bus answered within {seconds:.1f} s") from None

    @property
    def is_connected(self) -> bool:
        return bool(self._client.is_connected)

    # -- facts ------------------------------------------------------------------------------------------------------

    async def encode(self, fact: Fact, message_id: UUID | None = None) -> Message:
        """``fact`` as a message for an outbox; validates publisher and ids before any I/O but the key look-up."""
        if self._service not in fact.publishers:
            raise InvalidInput(f"{self._service} does not publish {fact.contract()}")
        cipher = await self.keyring.cipher(fact.tenant())
        return encode_fact(fact, message_id or self.ids.new(), self._service, cipher)

    async def publish_fact(self, fact: Fact, message_id: UUID | None = None) -> None:
        """Store ``fact`` in its stream; returns when the broker has it. For services without a database.

        Pass the same ``message_id`` when trying again after an error: the broker and the inboxes drop the copy.
        """
        message = await self.encode(fact, message_id)
        await self.publish(message.subject, message.payload, message.headers, message.id.hex)

    async def publish(self, subject: str, payload: bytes, headers: Mapping[str, str], msg_id: str) -> None:
        """The outbox relay's publisher."""
        name = headers.get(CONTRACT, "")
        with span(f"publish {name}", kind=SpanKind.PRODUCER):
            try:
                await self._js.publish(
                    subject,
                    payload,
                    timeout=PUBLISH_SECONDS,
                    headers={**context_headers(), **headers, BROKER_ID: msg_id},
                )
            except (NatsError, TimeoutError, OSError) as error:
                raise Unavailable(f"the broker did not store {name}") from error
        metrics.sent.labels(name).inc()

    def consume(self, handlers: Mapping[type[Fact], FactHandler], at_once: int = IN_HAND) -> None:
        """Start consuming; one durable per stream, shared with this service's other replicas.

        ``at_once``: how many deliveries this process has in hand, at the most.
        """
        by_domain: dict[Domain, dict[type[Fact], FactHandler]] = {}
        for fact, handler in handlers.items():
            if self._service not in fact.consumers:
                raise InvalidInput(f"{self._service} is not a consumer of {fact.contract()}")
            by_domain.setdefault(fact.domain, {})[fact] = handler
        for domain, chosen in by_domain.items():
            loop = ConsumerLoop(
                self._js,
                STREAM_OF[domain],
                durable(self._service, domain),
                chosen,
                self.keyring,
                lambda: int(self._client.stats["reconnects"]),
                at_once,
            )
            self._loops.append(loop)
            task = asyncio.create_task(loop.run(), name=f"consume {domain}")
            task.add_done_callback(self._consuming_ended)
            self._tasks.append(task)

    def _consuming_ended(self, task: asyncio.Task[None]) -> None:
        """A loop that broke consumes nothing any more: the process must not go on as if it did."""
        if not task.cancelled() and task.exception() is not None:
            _log.error("a consumer broke", exc_info=task.exception())
            self._on_closed()

    # -- requests ---------------------------------------------------------------------------------------------------

    async def request(
        self,
        spec: Rpc[RequestT, ReplyT],
        body: RequestT,
        *,
        tenant_id: UUID | None,
        actor: Actor | None = None,
        timeout: float | None = None,
    ) -> ReplyT:
        """Ask the service that owns ``spec``; ``actor`` defaults to this service itself."""
        return await self._request(spec, spec.subject(tenant_id), body, tenant_id, actor, timeout)

    async def command(
        self,
        spec: Command[RequestT, ReplyT],
        body: RequestT,
        *,
        tenant_id: UUID,
        call_id: UUID,
        actor: Actor | None = None,
    ) -> ReplyT:
        """Tell the one job that owns a live call. ``NoResponder``: there is no such job now."""
        return await self._request(spec, spec.subject(tenant_id, call_id), body, tenant_id, actor, None)

    async def _request(
        self,
        spec: Rpc[RequestT, ReplyT] | Command[RequestT, ReplyT],
        subject: str,
        body: RequestT,
        tenant_id: UUID | None,
        actor: Actor | None,
        timeout: float | None,
    ) -> ReplyT:
        if self._service not in spec.clients:
            raise InvalidInput(f"{self._service} is not a client of {spec.contract()}")
        return await rpc.request(
            self._client,
            spec,
            subject,
            body,
            tenant_id=tenant_id,
            actor=actor or Actor.of_service(self._service),
            source=self._service,
            keyring=self.keyring,
            clock=self._clock,
            timeout=spec.deadline if timeout is None else timeout,
        )

    async def serve(self, spec: Rpc[RequestT, ReplyT], handler: rpc.Handler[RequestT, ReplyT]) -> None:
        """Answer ``spec`` together with this service's other replicas (one queue group)."""
        if spec.server is not self._service:
            raise InvalidInput(f"{self._service} does not serve {spec.contract()}")
        subject = f"rpc.{subjects.name(spec.service)}.{subjects.name(spec.method)}.{subjects.WILDCARD}"
        await self._serve(spec, subject, self._service.value, handler)

    async def serve_command(
        self,
        spec: Command[RequestT, ReplyT],
        tenant_id: UUID,
        call_id: UUID,
        handler: rpc.Handler[RequestT, ReplyT],
    ) -> None:
        """Answer a command for one live call: only the job that owns it subscribes."""
        await self._serve(spec, spec.subject(tenant_id, call_id), "", handler)

    async def _serve(
        self,
        spec: Rpc[RequestT, ReplyT] | Command[RequestT, ReplyT],
        subject: str,
        queue: str,
        handler: rpc.Handler[RequestT, ReplyT],
    ) -> None:
        server = rpc.Server(spec, handler, self.keyring, self._clock)
        self._servers.append(server)
        try:
            subscription = await self._client.subscribe(subject, queue=queue, cb=server.on_message)
        except (NatsError, OSError) as error:
            raise Unavailable(f"can't serve {spec.contract()}: the bus is away") from error
        self._rpc_subscriptions.append(subscription)

    # -- words while they are spoken --------------------------------------------------------------------------------

    async def publish_live(self, live: Live) -> None:
        """Best effort: lost when nobody listens, the bus is away, or the tenant's key is gone. Never raises."""
        try:
            cipher = await self.keyring.cipher(live.tenant_id)
            payload = encode_live(live, cipher)
            await self._client.publish(live.subject(), payload, headers={CONTRACT: live.contract()})
        except (NatsError, OSError, SwitchboardError, SealError) as error:
            _log.debug("live event lost", error=type(error).__name__)

    @asynccontextmanager
    async def live(self, tenant_id: UUID) -> AsyncIterator[AsyncIterator[Live]]:
        """What is said in a tenant's live calls, from now on. A reader that falls 1,000 behind loses the oldest.

        ``Unavailable`` when the bus is away.
        """
        queue: asyncio.Queue[Live] = asyncio.Queue(maxsize=1000)

        async def receive(msg: Msg) -> None:
            model = _LIVES.get((msg.headers or {}).get(CONTRACT, ""))
            if model is None:
                return
            event = decode(model, msg.data, await self.keyring.cipher(tenant_id), model.contract())
            if event.tenant_id != tenant_id:
                return
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

        async def events() -> AsyncIterator[Live]:
            while True:
                yield await queue.get()

        try:
            subscription = await self._client.subscribe(subjects.live_of_tenant(tenant_id), cb=receive)
        except (NatsError, OSError) as error:
            raise Unavailable("the bus is away") from error
        try:
            await self.flush()  # the server must know of it before the caller goes on and makes something happen
            yield events()
        finally:
            with suppress(NatsError, OSError):
                await subscription.unsubscribe()

    async def dead_letters(self, limit: int = 100) -> list[deadletters.DeadLetter]:
        """The newest envelopes, oldest first, for the service that may read them; ``Unavailable`` otherwise."""
        try:
            return await deadletters.listing(self._client, limit)
        except (NatsError, TimeoutError, OSError) as error:
            raise Unavailable("the dead letters can't be read right now") from error

    # -- buckets, end -----------------------------------------------------------------------------------------------

    def bucket(self, name: str) -> Bucket:
        if name not in self._buckets:
            self._buckets[name] = Bucket(self._js, name)
        return self._buckets[name]

    async def flush(self) -> None:
        """Wait until the server has processed everything sent so far, subscriptions included; ``Unavailable`` when
        it does not answer."""
        try:
            await flush(self._client, FLUSH_SECONDS)
        except (NatsError, TimeoutError, OSError) as error:
            raise Unavailable("the bus is away") from error

    async def stop_intake(self) -> None:
        """Take no new requests and facts, and return when what is in hand is done. Publishing and asking go on.

        For ``on_drain``, with :meth:`drain` for ``on_close``. Calling it again does nothing.
        """
        for loop in self._loops:
            loop.stop()
        while self._rpc_subscriptions:
            subscription = self._rpc_subscriptions.pop()
            with suppress(NatsError, OSError):  # the connection may go in this moment; the server forgets it then
                if self.is_connected:
                    await subscription.unsubscribe()
        await asyncio.gather(*(server.drain() for server in self._servers))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Refuse new work, finish what is in hand, close."""
        try:
            await self.stop_intake()
        finally:
            await tasks.end(self._making)
            await self._client.close()
