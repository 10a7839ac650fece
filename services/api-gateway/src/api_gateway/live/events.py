"""Live events as Server-Sent Events: what they look like, and when a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from pydantic import AwareDatetime
from switchboard.clock import Clock
from switchboard.contracts.base import Live

from api_gateway.schemas import Shape

KEEP_ALIVE = b": still here\n\n"
BEGIN = b": listening\n\n"


class WordsShape(Shape):
    """Event ``words``; ``final`` is false while they may still change."""

    call_id: UUID
    at: AwareDatetime
    speaker: str
    text: str
    final: bool


class SourceShape(Shape):
    """Event ``source``: the passage that the answer being spoken was taken from."""

    call_id: UUID
    at: AwareDatetime
    document_name: str
    heading: str
    text: str


class StateShape(Shape):
    """Event ``state``."""

    call_id: UUID
    at: AwareDatetime
    state: str


SHAPES: dict[str, type[Shape]] = {"words": WordsShape, "source": SourceShape, "state": StateShape}


def frame(event: Live) -> bytes | None:
    """One event as it stands in the stream; ``None`` for a kind that is not public."""
    shape = SHAPES.get(event.kind)
    if shape is None:
        return None
    # JSON on one line: a line break in what somebody said can't end the frame and begin another.
    return f"event: {event.kind}\ndata: {shape.of(event).model_dump_json()}\n\n".encode()


async def frames(
    events: AsyncIterator[Live],
    *,
    only: UUID | None,
    stopping: asyncio.Event,
    clock: Clock,
    keep_alive_s: float,
    stream_s: float,
) -> AsyncIterator[bytes]:
    """The stream's bytes: a comment at once, events as they come, a comment in silence; ends on ``stopping`` or after
    ``stream_s`` seconds."""
    yield BEGIN
    ends = clock.monotonic() + stream_s
    stop = asyncio.create_task(stopping.wait(), name="stream stop")
    upcoming: asyncio.Task[Live] | None = None
    try:
        while (left := ends - clock.monotonic()) > 0:
            # Kept over silences: cancelling it could lose the event that it has just taken.
            upcoming = upcoming or asyncio.create_task(_next(events), name="stream event")
            await asyncio.wait({upcoming, stop}, timeout=min(keep_alive_s, left), return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                return
            if not upcoming.done():
                yield KEEP_ALIVE
                continue
            event, upcoming = upcoming.result(), None
            framed = frame(event) if only is None or event.call_id == only else None
            if framed is not None:
                yield framed
    finally:
        stop.cancel()
        if upcoming is not None:
            upcoming.cancel()
        await asyncio.gather(stop, *([upcoming] if upcoming is not None else []), return_exceptions=True)


async def _next(events: AsyncIterator[Live]) -> Live:
    return await anext(events)
