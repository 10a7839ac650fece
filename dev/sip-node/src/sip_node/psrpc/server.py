"""A psrpc server on Redis: claim a request, carry it out, publish the response."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from sip_node.config import RedisConfig
from sip_node.psrpc import messages
from sip_node.psrpc.client import REQUEST_TIMEOUT_S, RpcError, channel, connect

log = structlog.get_logger()

_RETRY_S: Final = 0.5
ANY_TOPIC: Final = "*"


class ServiceError(Exception):
    """What a handler refuses a request with. `code` is psrpc's, as text; `details` are protobuf messages that reach the
    API's client as well."""

    def __init__(self, code: str, message: str, *details: Any) -> None:
        super().__init__(message)
        self.code, self.details = code, details


@dataclass(frozen=True)
class Method:
    """One method. `handle` gets the request and its deadline in nanoseconds of the wall clock. It is asked for under
    `topic` (none when empty, any when `*`) and answers only where `wants` agrees."""

    name: str
    request: Any
    handle: Callable[[Any, int], Awaitable[Any]]
    wants: Callable[[Any], bool]
    topic: str = ""


class RpcServer:
    """Serves the methods of one psrpc service. `now_ns` is the wall clock in nanoseconds."""

    def __init__(self, config: RedisConfig, service: str, server_id: str, now_ns: Callable[[], int]) -> None:
        self._service, self._server_id, self._now_ns = service, server_id, now_ns
        self._redis = connect(config)
        self._methods: dict[str, Method] = {}
        self._claims: dict[str, asyncio.Future[bool]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    async def start(self, *methods: Method) -> None:
        """Subscribe. Raises RpcError when Redis takes no subscription."""
        self._methods = {method.name: method for method in methods}
        self._listener = asyncio.create_task(self._listen(), name="psrpc-serve")
        try:
            await asyncio.wait_for(self._subscribed.wait(), REQUEST_TIMEOUT_S)
        except TimeoutError as error:
            raise RpcError("unavailable", "redis took no subscription") from error

    async def close(self) -> None:
        """Unsubscribe; requests being carried out are dropped."""
        tasks = (*self._tasks, *((self._listener,) if self._listener else ()))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._redis.aclose()

    async def _listen(self) -> None:
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    for method in self._methods.values():
                        await self._subscribe(subscription, method)
                    self._subscribed.set()
                    async for item in subscription.listen():
                        self._deliver(item)
            except (RedisError, OSError) as error:
                log.warning("redis subscription lost", error=type(error).__name__)
            await asyncio.sleep(_RETRY_S)

    async def _subscribe(self, subscription: Any, method: Method) -> None:
        # One pattern stands for the topics of all calls there ever are; who isn't asked for stays silent.
        for kind in ("REQ", "RCLAIM"):
            if method.topic == ANY_TOPIC:
                await subscription.psubscribe(f"{channel(self._service, method.name)}|{ANY_TOPIC}|{kind}")
            else:
                await subscription.subscribe(channel(self._service, method.name, method.topic, kind))

    def _deliver(self, item: Any) -> None:
        try:
            message = messages.unseal(item["data"])
            name = item["channel"].decode().split("|")[1]
        except (ValueError, IndexError):
            log.warning("ignoring a foreign message on the bus")
            return
        method = self._methods.get(name)
        kind = message.DESCRIPTOR.name
        if kind == "ClaimResponse":
            claim = self._claims.get(message.request_id)
            if claim is not None and not claim.done():
                claim.set_result(message.server_id == self._server_id)
        elif kind == "Request" and method is not None and self._now_ns() < message.expiry:
            task = asyncio.create_task(self._serve(method, message), name=f"psrpc-{method.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, method: Method, request: Any) -> None:
        with contextlib.suppress(RedisError, OSError):
            try:
                body = method.request.FromString(request.raw_request)
            except Exception:
                await self._respond(request, error=ServiceError("malformed_request", "unreadable request"))
                return
            if not method.wants(body) or not await self._claimed(request):
                return
            try:
                reply = await method.handle(body, request.expiry)
            except ServiceError as error:
                await self._respond(request, error=error)
            except Exception as error:
                log.exception("request failed", method=method.name)
                await self._respond(request, error=ServiceError("internal", type(error).__name__))
            else:
                await self._respond(request, reply)

    async def _claimed(self, request: Any) -> bool:
        claim: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._claims[request.request_id] = claim
        offer = messages.ClaimRequest(request_id=request.request_id, server_id=self._server_id, affinity=1.0)
        try:
            await self._publish(offer, self._service, request.client_id, "CLAIM")
            async with asyncio.timeout(max(0.0, (request.expiry - self._now_ns()) / 1e9)):
                return await claim
        except TimeoutError:
            return False
        finally:
            del self._claims[request.request_id]

    async def _respond(self, request: Any, reply: Any = None, error: ServiceError | None = None) -> None:
        response = messages.Response(request_id=request.request_id, server_id=self._server_id, sent_at=self._now_ns())
        if error is not None:
            response.error, response.code = str(error), error.code
            for detail in error.details:
                response.error_details.add().Pack(detail)
        else:
            response.raw_response = reply.SerializeToString()
        await self._publish(response, self._service, request.client_id, "RES")

    async def _publish(self, message: Any, *parts: str) -> None:
        await self._redis.publish(channel(*parts), messages.seal(message))
