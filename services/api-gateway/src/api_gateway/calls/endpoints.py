"""Records of calls, ending one, and what would happen to one."""

from __future__ import annotations

from fastapi import APIRouter
from switchboard.contracts.calls import (
    GET_CALL,
    LIST_CALLS,
    PREVIEW,
    REQUEST_END,
    EndCallRequest,
    GetCall,
    PreviewRequest,
)

from api_gateway.access.caller import Authenticated
from api_gateway.access.identifiers import CallIdInPath
from api_gateway.calls.schemas import (
    CallRecordShape,
    CallShape,
    CallsShape,
    EndingShape,
    PreviewForm,
    PreviewShape,
    TurnShape,
)
from api_gateway.paging import PageWanted

router = APIRouter(prefix="/v1")


@router.get("/calls", tags=["calls"])
async def list_calls(page: PageWanted, caller: Authenticated) -> CallsShape:
    """Your calls, newest first."""
    shape = CallsShape.of(await caller.ask(LIST_CALLS, page.of(caller)))
    return shape.model_copy(update={"next_cursor": page.following(caller, shape.next_cursor)})


@router.get("/calls/{call_id}", tags=["calls"])
async def get_call(call_id: CallIdInPath, caller: Authenticated) -> CallRecordShape:
    """A call with everything that was said, the passages looked up, and the timings of each turn."""
    record = await caller.ask(GET_CALL, GetCall(call_id=call_id))
    return CallRecordShape(
        call=CallShape.of(record.summary), turns=tuple(TurnShape.of_turn(turn) for turn in record.turns)
    )


@router.post("/calls/{call_id}/end", status_code=202, tags=["calls"])
async def end_call(call_id: CallIdInPath, caller: Authenticated) -> EndingShape:
    """End a call that is still going on."""
    await caller.ask(REQUEST_END, EndCallRequest(call_id=call_id))
    return EndingShape(call_id=call_id, status_url=f"/v1/calls/{call_id}")


@router.post("/numbers/preview", tags=["telephony"])
async def preview(caller: Authenticated, form: PreviewForm) -> PreviewShape:
    """What would happen if somebody called this number of yours now."""
    return PreviewShape.of_decision(await caller.ask(PREVIEW, form.to(PreviewRequest)))
