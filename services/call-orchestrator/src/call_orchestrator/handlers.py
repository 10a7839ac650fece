"""What the orchestrator answers on the bus."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts.base import Empty, Page
from switchboard.contracts.calls import (
    ADMIT,
    GET_CALL,
    HEARTBEAT,
    LIST_CALLS,
    LISTEN,
    PREVIEW,
    REQUEST_END,
    AdmitReply,
    AdmitRequest,
    CallList,
    CallRecord,
    Decision,
    EndCallRequest,
    GetCall,
    Heartbeat,
    HeartbeatReply,
    PreviewRequest,
)
from switchboard.rights import Right, allowed

from call_orchestrator.admission.service import Admission, Preview
from call_orchestrator.calls import authorise
from call_orchestrator.calls.control import Control
from call_orchestrator.calls.queries import Queries


class Requests:
    """One method per contract; each names who may ask, then hands over to the domain."""

    def __init__(self, admission: Admission, preview: Preview, queries: Queries, control: Control) -> None:
        self._admission = admission
        self._preview = preview
        self._queries = queries
        self._control = control

    async def serve(self, bus: Bus) -> None:
        await bus.serve(ADMIT, self.admit)
        await bus.serve(HEARTBEAT, self.heartbeat)
        await bus.serve(GET_CALL, self.get)
        await bus.serve(LIST_CALLS, self.page)
        await bus.serve(REQUEST_END, self.end)
        await bus.serve(PREVIEW, self.preview)
        await bus.serve(LISTEN, self.listen)

    async def admit(self, body: AdmitRequest, call: Call) -> AdmitReply:
        authorise.voice_agent(call)
        return await self._admission.admit(body)

    async def heartbeat(self, body: Heartbeat, call: Call) -> HeartbeatReply:
        return await self._admission.heartbeat(authorise.job_tenant(call), body)

    async def get(self, body: GetCall, call: Call) -> CallRecord:
        return await self._queries.record(allowed(call, Right.CALLS_READ), body.call_id)

    async def page(self, body: Page, call: Call) -> CallList:
        return await self._queries.page(allowed(call, Right.CALLS_READ), body)

    async def end(self, body: EndCallRequest, call: Call) -> Empty:
        tenant_id = allowed(call, Right.CALLS_END)
        await self._control.end(tenant_id, body.call_id, call.actor)
        return Empty()

    async def preview(self, body: PreviewRequest, call: Call) -> Decision:
        return await self._preview.decide(allowed(call, Right.SETTINGS_READ), body.number)

    async def listen(self, _body: Empty, call: Call) -> Empty:
        """The words of live calls go from their jobs to whoever listens; whether somebody may is said here."""
        allowed(call, Right.CALLS_READ)
        return Empty()
