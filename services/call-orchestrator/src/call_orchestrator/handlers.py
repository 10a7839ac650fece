"""What the orchestrator answers on the bus."""

from __future__ import annotations

from switchboard.bus import Bus, Call
from switchboard.contracts.base import Empty, Page
from switchboard.contracts.calls import (
    ADMIT,
    GET_CALL,
    HEARTBEAT,
    LIST_CALLS,
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

    async def admit(self, body: AdmitRequest, call: Call) -> AdmitReply:
        authorise.voice_agent(call)
        return await self._admission.admit(body)

    async def heartbeat(self, body: Heartbeat, call: Call) -> HeartbeatReply:
        return await self._admission.heartbeat(authorise.job_tenant(call), body)

    async def get(self, body: GetCall, call: Call) -> CallRecord:
        return await self._queries.record(authorise.tenant_of(call), body.call_id)

    async def page(self, body: Page, call: Call) -> CallList:
        return await self._queries.page(authorise.tenant_of(call), body)

    async def end(self, body: EndCallRequest, call: Call) -> Empty:
        tenant_id = authorise.tenant_of(call)
        authorise.may_end(call)
        await self._control.end(tenant_id, body.call_id, call.actor)
        return Empty()

    async def preview(self, body: PreviewRequest, call: Call) -> Decision:
        return await self._preview.decide(authorise.tenant_of(call), body.number)
