"""``/ops``: live calls, calls that are nobody's, drain, dead letters, reconcile. Behind one bearer token.

Tenants never see these routes: the gateway has no way to them. Answers name calls and tenants by id; the numbers of calls
that belong to no tenant are shown, because nothing else tells an operator what a carrier sends us wrongly.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from litestar import Router, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import Parameter
from pydantic import AwareDatetime, BaseModel, ConfigDict
from switchboard.bus.deadletters import DeadLetter
from switchboard.contracts.calls import CallState
from switchboard.errors import NotAuthenticated

from call_orchestrator.ops.service import Operations

MOST = 500


class LiveCallView(BaseModel):
    tenant_id: str
    call_id: str
    room_sid: str | None
    state: CallState
    epoch: int
    started_at: AwareDatetime
    answered_at: AwareDatetime | None
    lease_expires_at: AwareDatetime | None


class UnmatchedView(BaseModel):
    call_id: str
    room_sid: str
    sip_call_id: str
    trunk: str | None
    carrier_account: str | None
    dialled: str
    caller: str | None
    reason: str
    attempts: int
    first_at: AwareDatetime
    last_at: AwareDatetime


class DrainView(BaseModel):
    """While ``on``, every new call is refused with 486; calls that are going on are not touched."""

    model_config = ConfigDict(extra="forbid")

    on: bool


class ReconciledView(BaseModel):
    """``rooms`` are being watched now; ``written`` records had waited for the database."""

    rooms: int
    written: int


@dataclass(frozen=True, slots=True)
class Guard:
    """Lets in who shows the operators' token; the comparison takes the same time wherever it fails."""

    token: str

    def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), self.token.encode()):
            raise NotAuthenticated("these are the operators' pages: send their token as a bearer token")


@get("/live-calls")
async def live_calls(operations: Operations) -> list[LiveCallView]:
    return [
        LiveCallView(
            tenant_id=call.tenant_id.hex,
            call_id=call.id.hex,
            room_sid=call.room_sid,
            state=call.state,
            epoch=call.epoch,
            started_at=call.started_at,
            answered_at=call.answered_at,
            lease_expires_at=call.lease_expires_at,
        )
        for call in await operations.live()
    ]


@get("/unmatched-calls")
async def unmatched_calls(
    operations: Operations, before: datetime | None = None, limit: Annotated[int, Parameter(ge=1, le=MOST)] = 100
) -> list[UnmatchedView]:
    return [
        UnmatchedView(
            call_id=call.id.hex,
            room_sid=call.room_sid,
            sip_call_id=call.sip_call_id,
            trunk=call.trunk,
            carrier_account=call.carrier_account,
            dialled=call.dialled,
            caller=call.caller,
            reason=call.reason,
            attempts=call.attempts,
            first_at=call.first_at,
            last_at=call.last_at,
        )
        for call in await operations.unmatched(before, limit)
    ]


@get("/drain")
async def get_drain(operations: Operations) -> DrainView:
    return DrainView(on=await operations.draining())


@put("/drain")
async def put_drain(data: DrainView, operations: Operations) -> DrainView:
    await operations.drain(data.on)
    return DrainView(on=data.on)


@get("/dead-letters")
async def dead_letters(
    operations: Operations, limit: Annotated[int, Parameter(ge=1, le=MOST)] = 100
) -> list[DeadLetter]:
    return await operations.dead_letters(limit)


@post("/reconcile", status_code=200)
async def reconcile(operations: Operations) -> ReconciledView:
    rooms, written = await operations.reconcile()
    return ReconciledView(rooms=rooms, written=written)


def router(operations: Operations, token: str) -> Router:
    """The routes; ``token`` opens them."""
    return Router(
        path="/ops",
        route_handlers=[live_calls, unmatched_calls, get_drain, put_drain, dead_letters, reconcile],
        guards=[Guard(token)],
        dependencies={"operations": Provide(lambda: operations, sync_to_thread=False)},
        include_in_schema=False,
    )
