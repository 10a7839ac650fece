"""A LiveKit cell's room service and agent dispatch, with deadlines and retries of our own.

The SDK repeats requests for LiveKit Cloud hosts only. Here each request has a short deadline and is tried again when the
answer says that trying again may help; listing and deleting can be repeated freely, and a dispatch that was made twice is
harmless because admission gives a room's call to one job at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeVar

import aiohttp
from livekit import api
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.models import Room as RoomInfo
from switchboard.errors import Unavailable
from switchboard.settings import LiveKitSettings

T = TypeVar("T")

Kind = Literal["sip", "agent", "other"]
REQUEST_SECONDS = 2.0
PAUSES: tuple[float, ...] = (0.1, 0.3)
"""Seconds before the second and third try."""

_KINDS: Mapping[int, Kind] = {ParticipantInfo.Kind.SIP: "sip", ParticipantInfo.Kind.AGENT: "agent"}


@dataclass(frozen=True, slots=True)
class Room:
    """``name`` holds the caller's number: it goes back to LiveKit and nowhere else."""

    sid: str
    name: str = field(repr=False)
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Participant:
    """``attributes`` of a SIP leg say who called which number; not for logs."""

    kind: Kind
    attributes: Mapping[str, str] = field(repr=False)


class Media(Protocol):
    """What the orchestrator asks of LiveKit. Every method raises ``Unavailable`` when it can't be asked."""

    async def rooms(self) -> list[Room]: ...

    async def participants(self, room_name: str) -> list[Participant] | None:
        """None: there is no such room (any more)."""
        ...

    async def dispatch(self, room_name: str) -> None:
        """Offer the room to a free agent; a room that is gone is no error."""
        ...

    async def delete_room(self, room_name: str) -> None:
        """Cut everybody off; a room that is gone is no error."""
        ...


class LiveKitMedia:
    """One media cell. Made by :meth:`open`."""

    def __init__(self, client: api.LiveKitAPI, agent_name: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client = client
        self._agent_name = agent_name
        self._sleep = sleep

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: LiveKitSettings, agent_name: str) -> AsyncIterator[LiveKitMedia]:
        """``agent_name`` is what the workers register as."""
        client = api.LiveKitAPI(
            settings.url,
            settings.api_key,
            settings.api_secret.get_secret_value(),
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS),
            failover=False,
        )
        try:
            yield cls(client, agent_name, asyncio.sleep)
        finally:
            await client.aclose()

    async def rooms(self) -> list[Room]:
        answer = await self._ask(lambda: self._client.room.list_rooms(api.ListRoomsRequest()))
        return [_room(room) for room in answer.rooms]

    async def participants(self, room_name: str) -> list[Participant] | None:
        request = api.ListParticipantsRequest(room=room_name)
        try:
            answer = await self._ask(lambda: self._client.room.list_participants(request))
        except _Gone:
            return None
        if not answer.participants:
            # LiveKit (1.13) gives an empty list for a room that it has never heard of, too.
            only = api.ListRoomsRequest(names=[room_name])
            if not (await self._ask(lambda: self._client.room.list_rooms(only))).rooms:
                return None
        return [
            Participant(_KINDS.get(found.kind, "other"), dict(found.attributes))
            for found in answer.participants
            if found.state != ParticipantInfo.State.DISCONNECTED
        ]

    async def dispatch(self, room_name: str) -> None:
        request = api.CreateAgentDispatchRequest(agent_name=self._agent_name, room=room_name)
        try:
            await self._ask(lambda: self._client.agent_dispatch.create_dispatch(request))
        except _Gone:
            return

    async def delete_room(self, room_name: str) -> None:
        request = api.DeleteRoomRequest(room=room_name)
        try:
            await self._ask(lambda: self._client.room.delete_room(request))
        except _Gone:
            return

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T:
        for pause in (*PAUSES, None):
            try:
                return await request()
            except api.ServerError as error:
                if error.code == api.ServerErrorCode.NOT_FOUND:
                    raise _Gone from None
                if error.status < 500 or pause is None:
                    raise Unavailable(f"LiveKit refused: {error.code}") from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if pause is None:
                    raise Unavailable("LiveKit does not answer") from error
            await self._sleep(pause)
        raise AssertionError("the last try returns or raises")


class _Gone(Exception):
    """LiveKit knows no such room."""


def _room(room: RoomInfo) -> Room:
    # creation_time_ms came later than creation_time, which has seconds only.
    seconds = room.creation_time_ms / 1000 if room.creation_time_ms else float(room.creation_time)
    return Room(room.sid, room.name, datetime.fromtimestamp(seconds, UTC))
