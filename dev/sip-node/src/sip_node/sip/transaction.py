"""SIP transactions over UDP (RFC 3261 section 17, RFC 6026), as livekit-sip's stack runs them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sip_node.sip.message import MAGIC_COOKIE, Address, Request, Response

Send = Callable[[bytes, Address], None]


@dataclass(frozen=True)
class Timers:
    """Seconds; the names are RFC 3261's. Tests make them short."""

    t1: float = 0.5
    t2: float = 4.0

    @property
    def linger(self) -> float:
        """How long a finished transaction absorbs retransmissions (timers J and L) and a BYE waits (timer F)."""
        return 64 * self.t1


def transaction_key(request: Request) -> str:
    """What identifies a server transaction (RFC 3261 section 17.2.3); ACK and CANCEL map to their INVITE."""
    method = "INVITE" if request.method in ("ACK", "CANCEL") else request.method
    top = request.vias[0]
    if top.branch.startswith(MAGIC_COOKIE) and len(top.branch) > len(MAGIC_COOKIE):
        return f"{top.branch}|{top.host}|{top.port}|{method}"
    return f"{request.from_tag}|{request.call_id}|{request.cseq_number}|{top.text}|{method}"


class ServerTransaction:
    """One request from the far side and the answers to it."""

    def __init__(self, request: Request, send: Send) -> None:
        self.request = request
        self.cancelled = asyncio.Event()
        self._send = send
        self.abandoned = False
        self._last: bytes | None = None
        self._code = 0

    @property
    def proceeding(self) -> bool:
        """A final answer may still come."""
        return self._code < 200 and not self.abandoned

    def abandon(self) -> None:
        """Nothing more is answered, not even a CANCEL; retransmissions still get the last answer."""
        self.abandoned = True

    def respond(self, code: int, data: bytes) -> None:
        """Send `data`, whose status is `code`, to where the request came from."""
        self._last, self._code = data, code
        self._send(data, self.request.source)

    def retransmitted(self) -> None:
        """The same request came again: the last answer goes out again, except that a 2xx to INVITE is repeated by the
        call alone, until it is acknowledged."""
        if self._last is None or (self.request.method == "INVITE" and 200 <= self._code < 300):
            return
        self._send(self._last, self.request.source)


class ClientTransaction:
    """A request of ours (never INVITE): repeated until a final answer or timer F."""

    def __init__(self, data: bytes, destination: Address, send: Send, timers: Timers) -> None:
        self._data, self._destination, self._send, self._timers = data, destination, send, timers
        self._final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def receive(self, response: Response) -> None:
        if response.code >= 200 and not self._final.done():
            self._final.set_result(response)

    async def run(self) -> Response | None:
        """The final answer, None when there was none in 64 * T1."""
        interval: Final = self._timers
        delay = interval.t1
        try:
            async with asyncio.timeout(interval.linger):
                while True:
                    self._send(self._data, self._destination)
                    done, _ = await asyncio.wait((self._final,), timeout=delay)
                    if done:
                        return self._final.result()
                    delay = min(delay * 2, interval.t2)
        except TimeoutError:
            return None


class InviteTransaction:
    """An INVITE of ours (RFC 3261 section 17.1.1): repeated until something answers it, given up after 64 * T1 without any
    answer. Every answer goes to `answers`, in order; None after the last that will come."""

    def __init__(self, data: bytes, destination: Address, send: Send, timers: Timers) -> None:
        self.destination = destination
        self.answers: asyncio.Queue[Response | None] = asyncio.Queue()
        self._data, self._send, self._timers = data, send, timers
        self._answered = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="invite")

    def receive(self, response: Response) -> None:
        self._answered.set()
        self.answers.put_nowait(response)

    def stop(self) -> None:
        """No more copies."""
        self._task.cancel()

    async def _run(self) -> None:
        delay = self._timers.t1
        try:
            async with asyncio.timeout(self._timers.linger):
                while True:
                    self._send(self._data, self.destination)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._answered.wait(), delay)
                        return
                    delay *= 2
        except TimeoutError:
            self.answers.put_nowait(None)
