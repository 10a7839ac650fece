"""Call records for LiveKit (IOInfo.UpdateSIPCallState), sent in order and never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from google.protobuf import empty_pb2
from livekit.protocol import sip as sip_proto

from sip_node.psrpc import messages
from sip_node.psrpc.client import RpcClient, RpcError

log = structlog.get_logger()


class CallRecord:
    """One call's SIPCallInfo. `now_ns` is the wall clock in nanoseconds."""

    def __init__(self, rpc: RpcClient, info: Any, now_ns: Callable[[], int]) -> None:
        self._rpc, self._now_ns = rpc, now_ns
        self.info = info
        self.info.created_at_ns = now_ns()
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(self._send(), name="call-record")

    def flush(self) -> None:
        """Queue the record as it is now."""
        self._queue.put_nowait(messages.UpdateSIPCallStateRequest(call_info=self.info))

    def active(self) -> None:
        self.info.started_at_ns = self._now_ns()
        self.info.call_status = sip_proto.SCS_ACTIVE
        self.flush()

    def ended(self, error: str) -> None:
        """The last record; sending ends after it."""
        self.info.ended_at_ns = self._now_ns()
        if error and not self.info.error:
            self.info.call_status, self.info.error = sip_proto.SCS_ERROR, error
        else:
            self.info.call_status = sip_proto.SCS_DISCONNECTED
        self.flush()
        self._queue.put_nowait(None)

    async def _send(self) -> None:
        while (request := await self._queue.get()) is not None:
            try:
                await self._rpc.request("UpdateSIPCallState", request, empty_pb2.Empty)
            except RpcError as error:
                log.debug("call record not taken", code=error.code)
