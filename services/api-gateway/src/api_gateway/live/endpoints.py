"""What is being said in a tenant's calls, as it is said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from switchboard.contracts.base import Empty
from switchboard.contracts.calls import LISTEN
from switchboard.errors import Unavailable

from api_gateway.access.caller import Authenticated
from api_gateway.access.identifiers import OptionalCallId
from api_gateway.live.events import frames

router = APIRouter(prefix="/v1")

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "events `words`, `source` and `state`, each with JSON data",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}  # proxies would hold a slow stream back


@router.get("/live/events", tags=["calls"], responses=_STREAM, response_class=StreamingResponse)
async def live_events(call_id: OptionalCallId, caller: Authenticated) -> StreamingResponse:
    """Server-Sent Events of your live calls, from now on. The stream ends now and then; open it again."""
    await caller.ask(LISTEN, Empty())
    found = caller.resources
    if not found.listeners.take():
        raise Unavailable("too many listeners at once; try again in a moment")
    stack = AsyncExitStack()
    stack.callback(found.listeners.give_back)
    try:
        # Before the response begins, so that a bus that is away is still a 503.
        events = await stack.enter_async_context(found.bus.live(caller.tenant_id))
    except BaseException:
        await stack.aclose()
        raise
    body = frames(
        events,
        only=call_id,
        stopping=found.stopping,
        clock=found.clock,
        keep_alive_s=found.pace.keep_alive_s,
        stream_s=found.pace.stream_s,
    )
    return _LiveResponse(body, stack)


class _LiveResponse(StreamingResponse):
    """Gives up the subscription and the place also when the client left before the first byte."""

    def __init__(self, body: AsyncIterator[bytes], stack: AsyncExitStack) -> None:
        super().__init__(body, media_type="text/event-stream", headers=_HEADERS)
        self._stack = stack

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._stack:
            await super().__call__(scope, receive, send)
