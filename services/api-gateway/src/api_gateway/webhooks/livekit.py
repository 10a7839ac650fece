"""LiveKit's webhooks, reduced to hints: verified, cut down to what we use, stored on the bus, answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, cast, get_args
from uuid import UUID, uuid5

import structlog
from fastapi import APIRouter, Request, Response
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.webhook import WebhookEvent
from switchboard.clock import Clock
from switchboard.contracts.calls import MediaHint
from switchboard.sealed import Sealed

from api_gateway.resources import resources

_log = structlog.get_logger(__name__)

router = APIRouter()

_EVENT_IDS = UUID("5d1c5d3e-0a0c-5b2e-9d0b-3f6f5b0f9c11")
"""Namespace of the message ids that follow from LiveKit's event ids."""

Event = Literal["room_started", "room_finished", "participant_joined", "participant_left", "track_published"]
Kind = Literal["", "standard", "sip", "agent", "other"]
_USED = frozenset(get_args(Event))
_KINDS: dict[int, Kind] = {
    ParticipantInfo.Kind.STANDARD: "standard",
    ParticipantInfo.Kind.SIP: "sip",
    ParticipantInfo.Kind.AGENT: "agent",
}
_SIP_CALL_ID = "sip.callID"


@router.post("/webhooks/livekit", include_in_schema=False)
async def livekit_webhook(request: Request) -> Response:
    """200 once the hint is stored (or is of no use to us); 503 when the bus did not take it, and LiveKit tries again."""
    found = resources(request)
    event = found.livekit.verify(await request.body(), request.headers.get("authorization"))
    hint = hint_of(event, found.clock)
    if hint is None:
        return Response(status_code=200)
    # LiveKit repeats what it thinks was lost; the same id makes the broker and the orchestrator drop the copy.
    await found.bus.publish_fact(hint, message_id=message_id_of(hint.event_id))
    return Response(status_code=200)


def message_id_of(event_id: str) -> UUID:
    return uuid5(_EVENT_IDS, event_id)


def hint_of(event: WebhookEvent, clock: Clock) -> MediaHint | None:
    """What we use of ``event``; ``None`` when that is nothing."""
    if event.event not in _USED or not event.room.sid or not event.id:
        return None
    participant = event.participant if event.HasField("participant") else None
    kind: Kind = "" if participant is None else _KINDS.get(participant.kind, "other")
    sip_call_id = participant.attributes.get(_SIP_CALL_ID, "") if participant is not None else ""
    if len(event.room.sid) > 64 or len(event.id) > 64 or len(sip_call_id) > 200:
        _log.warning("webhook with an over-long id ignored", livekit_event=event.event)
        return None
    return MediaHint(
        tenant_id=None,  # LiveKit does not say; the orchestrator finds the call by its room
        call_id=None,
        epoch=0,
        seq=0,
        at=datetime.fromtimestamp(event.created_at, UTC) if event.created_at > 0 else clock.now(),
        event=cast("Event", event.event),
        event_id=event.id,
        room_sid=event.room.sid,
        room_name=Sealed(event.room.name),
        participant_kind=kind,
        sip_call_id=sip_call_id,
    )
