"""What the worker knows when the bus doesn't answer: every clinic's published configuration, and wrapped keys.

The worker's main process follows both buckets and answers its jobs through a unix socket, so that a job which finds no bus
decides from a snapshot that was current when the bus went. One question a connection: the request's JSON to the end of the
stream, then the answer's; caller's numbers in it are sealed under the platform's key, as on the bus.
"""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import structlog
from switchboard.admission import decide
from switchboard.bus.envelope import decode, encode
from switchboard.bus.kv import Bucket
from switchboard.clock import Clock
from switchboard.contracts.base import Contract
from switchboard.contracts.calls import AdmitReply, AdmitRequest
from switchboard.degraded import degraded_call_id, degraded_epoch
from switchboard.errors import InvalidInput, Unavailable
from switchboard.ids import parse_token
from switchboard.keyring import Keyring
from switchboard.sealed import SealError
from switchboard.snapshot import SnapshotBook

from voice_agent.calls.sockets import bound, short

_log = structlog.get_logger(__name__)

ANSWER_SECONDS = 2.0
_ASKED, _ANSWERED = "worker.decide", "worker.decide/reply"


class OwnDecision(Contract):
    """``wrapped_key``: the tenant's data key as it stood in the bucket, base64; a job of a call needs it for its facts."""

    reply: AdmitReply
    wrapped_key: str | None = None


class WrappedKeyBook:
    """Every tenant's wrapped key in memory. Kept current by :meth:`run`; a key that was destroyed is forgotten."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._keys: dict[UUID, bytes] = {}

    async def run(self) -> None:
        """Follow the bucket until cancelled."""
        await self._bucket.watch(self._apply, lambda: None)

    async def _apply(self, key: str, value: bytes | None) -> None:
        try:
            tenant_id = parse_token(key, "tenant")
        except InvalidInput:
            _log.error("unreadable entry among the wrapped keys")
            return
        if value is None:
            self._keys.pop(tenant_id, None)
        else:
            self._keys[tenant_id] = value

    def get(self, tenant_id: UUID) -> bytes | None:
        return self._keys.get(tenant_id)


class Standby:
    """The worker's side."""

    def __init__(self, book: SnapshotBook, keys: WrappedKeyBook, keyring: Keyring, clock: Clock) -> None:
        self._book = book
        self._keys = keys
        self._keyring = keyring
        self._clock = clock

    def decide(self, request: AdmitRequest) -> OwnDecision:
        """``live_calls`` is not known here and taken as 0: a call too many beats a caller turned away for nothing.

        ``Unavailable`` while the snapshots have not been read: every number would look unknown.
        """
        if not self._book.caught_up:
            raise Unavailable("the published configurations have not been read yet")
        sip, now = request.sip, self._clock.now()
        decision = decide(self._book.match(str(sip.dialled), sip.trunk, sip.carrier_account), now, live_calls=0)
        # The orchestrator, once it hears of this call, names it alike.
        call_id, epoch = degraded_call_id(request.room_sid), degraded_epoch(now)
        reply = AdmitReply(call_id=call_id, epoch=epoch, decision=decision, degraded=True)
        wrapped = None if decision.tenant_id is None else self._keys.get(decision.tenant_id)
        return OwnDecision(reply=reply, wrapped_key=None if wrapped is None else base64.b64encode(wrapped).decode())

    async def serve(self, path: Path) -> None:
        """Answer on ``path`` until cancelled. Only this user's processes can ask."""
        async with await asyncio.start_unix_server(self._answer, sock=bound(path)) as server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                cipher = await self._keyring.cipher(None)
                request = decode(AdmitRequest, await reader.read(), cipher, _ASKED)
                writer.write(encode(self.decide(request), cipher, _ANSWERED))
                await writer.drain()
        except (InvalidInput, Unavailable, SealError, OSError, TimeoutError) as error:
            # Who gets no answer knows as much as we do.
            _log.warning("no decision for a job", error=type(error).__name__)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def ask_standby(path: Path, keyring: Keyring, request: AdmitRequest) -> AdmitReply:
    """A job's side: its worker's decision; the tenant's key is in ``keyring`` afterwards. ``Unavailable`` without one."""
    cipher = await keyring.cipher(None)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await _asked(path, encode(request, cipher, _ASKED))
        if not answer:
            raise Unavailable("neither the orchestrator nor the worker could decide")
        own = decode(OwnDecision, answer, cipher, _ANSWERED)
        if own.wrapped_key is not None and own.reply.decision.tenant_id is not None:
            keyring.adopt(own.reply.decision.tenant_id, base64.b64decode(own.wrapped_key))
    except (OSError, TimeoutError, InvalidInput, SealError) as error:
        raise Unavailable("the worker did not answer") from error
    return own.reply


async def _asked(path: Path, question: bytes) -> bytes:
    with short(path) as name:
        reader, writer = await asyncio.open_unix_connection(name)
    try:
        writer.write(question)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()
