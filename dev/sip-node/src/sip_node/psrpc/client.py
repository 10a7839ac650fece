"""A psrpc client on Redis: publish a request, take the first claim, await the response."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import redis.asyncio as redis_async
import structlog
from redis.exceptions import RedisError

from sip_node.config import RedisConfig
from sip_node.psrpc import messages

log = structlog.get_logger()

CLAIM_TIMEOUT_S: Final = 1.0
REQUEST_TIMEOUT_S: Final = 3.0
_RETRY_S: Final = 0.5


class RpcError(Exception):
    """A request failed: no server, no answer in time, or the server's own error (`code` is psrpc's, as text)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


def channel(*parts: str) -> str:
    """A psrpc channel name on Redis: empty parts are left out, characters outside [0-9A-Za-z_] are escaped."""
    return "|".join(_escape(part) for part in parts if part)


def _escape(part: str) -> str:
    out = []
    for char in part:
        code = ord(char)
        if char == "_" or (code < 128 and char.isalnum()):
            out.append(char)
        else:
            out.append(f"u+{code:04x}" if code < 0x10000 else f"U+{code:08x}")
    return "".join(out)


def connect(config: RedisConfig) -> Any:
    """A Redis client for `config`; nothing is sent yet."""
    return redis_async.Redis(
        host=config.host,
        port=config.port,
        username=config.username or None,
        password=config.password.get_secret_value() or None,
        db=config.db,
        socket_connect_timeout=2.0,
    )


class _Pending:
    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.claim: asyncio.Future[str] = loop.create_future()
        self.response: asyncio.Future[Any] = loop.create_future()


class RpcClient:
    """Calls one psrpc service. `ids` mints request ids, `now_ns` is the wall clock in nanoseconds."""

    def __init__(
        self, config: RedisConfig, service: str, client_id: str, ids: Callable[[], str], now_ns: Callable[[], int]
    ) -> None:
        self._service, self._client_id, self._ids, self._now_ns = service, client_id, ids, now_ns
        self._redis = connect(config)
        self._pending: dict[str, _Pending] = {}
        self._listener: asyncio.Task[None] | None = None
        self._subscribed = asyncio.Event()

    async def start(self) -> None:
        """Connect and subscribe. Raises RpcError when Redis doesn't answer."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise RpcError("unavailable", f"redis does not answer: {error}") from error
        self._listener = asyncio.create_task(self._listen(), name="psrpc-listen")
        try:
            await asyncio.wait_for(self._subscribed.wait(), REQUEST_TIMEOUT_S)
        except TimeoutError as error:
            raise RpcError("unavailable", "redis took no subscription") from error

    async def close(self) -> None:
        """Unsubscribe and drop the connections."""
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
        await self._redis.aclose()

    async def request(self, method: str, message: Any, reply: Any) -> Any:
        """Send `message` to `method`, return the answer as `reply` (a message class). Raises RpcError."""
        request_id, pending = self._ids(), _Pending()
        self._pending[request_id] = pending
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await self._exchange(request_id, pending, method, message, reply)
        except TimeoutError as error:
            raise RpcError("deadline_exceeded", f"{method}: no response in {REQUEST_TIMEOUT_S:g} s") from error
        except (RedisError, OSError) as error:
            raise RpcError("unavailable", f"{method}: redis failed: {type(error).__name__}") from error
        finally:
            del self._pending[request_id]

    async def _exchange(self, request_id: str, pending: _Pending, method: str, message: Any, reply: Any) -> Any:
        now = self._now_ns()
        envelope = messages.Request(
            request_id=request_id,
            client_id=self._client_id,
            sent_at=now,
            expiry=now + int(REQUEST_TIMEOUT_S * 1e9),
            raw_request=message.SerializeToString(),
        )
        try:
            # Over the sending too: a Redis that is away is tried again by its client for longer than a caller is to wait.
            async with asyncio.timeout(CLAIM_TIMEOUT_S):
                await self._redis.publish(channel(self._service, method, "REQ"), messages.seal(envelope))
                # A malformed request is answered without a claim, so both are awaited.
                await asyncio.wait((pending.claim, pending.response), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise RpcError("unavailable", f"{method}: no response from servers") from error
        if pending.claim.done():
            claim = messages.ClaimResponse(request_id=request_id, server_id=pending.claim.result())
            await self._redis.publish(channel(self._service, method, "RCLAIM"), messages.seal(claim))
        response = await pending.response
        if response.error:
            raise RpcError(response.code or "unknown", response.error)
        try:
            return reply.FromString(response.raw_response)
        except Exception as error:
            raise RpcError("malformed_response", method) from error

    async def _listen(self) -> None:
        names = [channel(self._service, self._client_id, kind) for kind in ("RES", "CLAIM")]
        while True:
            try:
                async with self._redis.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(*names)
                    self._subscribed.set()
                    async for item in subscription.listen():
                        self._deliver(item["data"])
            except (RedisError, OSError) as error:
                log.warning("redis subscription lost", error=type(error).__name__)
            await asyncio.sleep(_RETRY_S)

    def _deliver(self, data: Any) -> None:
        try:
            message = messages.unseal(data)
        except ValueError:
            log.warning("ignoring a foreign message on the bus")
            return
        pending = self._pending.get(getattr(message, "request_id", ""))
        if pending is None:
            return
        kind = message.DESCRIPTOR.name
        if kind == "ClaimRequest" and not pending.claim.done():
            pending.claim.set_result(message.server_id)
        elif kind == "Response" and not pending.response.done():
            pending.response.set_result(message)
