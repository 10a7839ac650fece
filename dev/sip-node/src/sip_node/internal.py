"""LiveKit's SIPInternal service: calls out, and transfers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from google.protobuf import empty_pb2

from sip_node.call_state import CallRecord
from sip_node.dispatch import seconds
from sip_node.leg import CallServices
from sip_node.logs import call_key
from sip_node.outbound import OutboundCall, new_outbound_info
from sip_node.outbound_request import OutboundRequest, read_request
from sip_node.psrpc import messages
from sip_node.psrpc.server import ANY_TOPIC, Method, ServiceError
from sip_node.server import SipServer
from sip_node.sip.dialog import LocalIdentity
from sip_node.sip.outbound_dialog import OutboundDialog

log = structlog.get_logger()

_TRANSFER_S: Final = 120.0


class SipInternal:
    """What LiveKit asks of the node. `now_ns` is the wall clock in nanoseconds. While `stopping`, calls out are left to
    others; transfers go on."""

    def __init__(
        self, server: SipServer, services: CallServices, local: LocalIdentity, now_ns: Callable[[], int]
    ) -> None:
        self._server, self._services, self._local, self._now_ns = server, services, local, now_ns
        self._transfers: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self.stopping = False

    def methods(self, cluster: str) -> tuple[Method, ...]:
        """What is served; calls out only for `cluster`, which a LiveKit server that knows no clusters leaves empty."""
        return (
            Method(
                "CreateSIPParticipant",
                messages.CreateSIPParticipantRequest,
                self.create,
                lambda _: not self.stopping,
                cluster,
            ),
            Method(
                "TransferSIPParticipant",
                messages.TransferSIPParticipantRequest,
                self.transfer,
                lambda body: self._server.leg(body.sip_call_id) is not None,
                ANY_TOPIC,
            ),
        )

    async def create(self, message: Any, expiry_ns: int) -> Any:
        """Call somebody. Raises ServiceError."""
        if self._server.at_capacity:
            raise ServiceError("unavailable", "cpu exhausted")
        request = read_request(message, self._local.ip)
        dialog = OutboundDialog(self._server.endpoint, self._local, request.call_id, self._services.rng)
        info = new_outbound_info(request, dialog.call_id, (self._local.ip, self._local.port))
        call = OutboundCall(self._services, dialog, CallRecord(self._services.rpc, info, self._now_ns), request)
        log.info("calling out", callID=request.call_id, sipCall=call_key(dialog.call_id))
        self._server.add(call, dialog)
        try:
            participant = await call.join()
        except BaseException:
            self._server.remove(request.call_id)
            raise
        limit_s = (expiry_ns - self._now_ns()) / 1e9 if request.wait else request.place.max_call_s
        self._server.spawn(self._run(call, request, limit_s), request.call_id)
        if request.wait:
            await asyncio.shield(call.answered)
        return messages.CreateSIPParticipantResponse(
            participant_id=participant,
            participant_identity=request.place.identity,
            sip_call_id=request.call_id,
        )

    async def _run(self, call: OutboundCall, request: OutboundRequest, limit_s: float) -> None:
        try:
            await call.run(limit_s)
        finally:
            self._server.remove(request.call_id)
            log.info("call over", callID=request.call_id)

    async def transfer(self, message: Any, expiry_ns: int) -> Any:
        """REFER a call's far side elsewhere. Asked again meanwhile, the answer is the same one. Raises ServiceError."""
        call_id, target = message.sip_call_id, message.transfer_to
        leg = self._server.leg(call_id)
        if leg is None:
            raise ServiceError("not_found", "unknown call")
        if not target or any(char in target for char in "\r\n"):
            raise ServiceError("invalid_argument", "transfer_to must be a tel: or sip: URI")
        running = self._transfers.get(call_id)
        if running is not None and running[0] != target:
            raise ServiceError("invalid_argument", "call already being transferred elsewhere")
        if running is None:
            timeout_s = seconds(message.ringing_timeout)
            work = leg.transfer(
                target, dict(message.headers), message.play_dialtone, timeout_s if timeout_s > 0 else _TRANSFER_S
            )
            task = asyncio.create_task(work, name=f"transfer-{call_id}")
            running = self._transfers[call_id] = (target, task)
            task.add_done_callback(lambda done: self._over(call_id, done))
        try:
            async with asyncio.timeout(max(0.0, (expiry_ns - self._now_ns()) / 1e9)):
                await asyncio.shield(running[1])
        except TimeoutError as error:
            raise ServiceError("canceled", "context deadline exceeded") from error
        return empty_pb2.Empty()

    def _over(self, call_id: str, task: asyncio.Task[None]) -> None:
        self._transfers.pop(call_id, None)
        if not task.cancelled():
            task.exception()  # whoever asked has had it; nobody may be left to hear it
