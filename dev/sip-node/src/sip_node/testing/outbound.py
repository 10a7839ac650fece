"""An outbound trunk to a callee of the test's own, and the room its calls are made from."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol.sip import (
    CreateSIPOutboundTrunkRequest,
    CreateSIPParticipantRequest,
    DeleteSIPTrunkRequest,
    SIPOutboundTrunkInfo,
    SIPParticipantInfo,
    TransferSIPParticipantRequest,
)

from sip_node.testing.agent import RoomAgent
from sip_node.testing.bridge import LiveKitAccess, delete_room, participants
from sip_node.testing.media import CallerMedia
from sip_node.testing.uac import SipMessage, SipSocket
from sip_node.testing.uas import Callee

CALLED = "15552220000"
OWN = "15553330000"


def duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))


@dataclass(frozen=True)
class Talk:
    """An answered outbound call; `identity` is the callee's in the room."""

    agent: RoomAgent
    media: CallerMedia
    invite: SipMessage
    identity: str


@dataclass
class OutboundLine:
    """One trunk to one callee. `dial` calls it."""

    access: LiveKitAccess
    lk: api.LiveKitAPI
    callee: Callee
    room: str
    trunk_id: str = ""
    opened: list[Any] = field(default_factory=list)
    agents: list[RoomAgent] = field(default_factory=list)
    dialling: list[asyncio.Task[SIPParticipantInfo]] = field(default_factory=list)

    @classmethod
    async def open(cls, access: LiveKitAccess, address: str = "", **trunk: Any) -> OutboundLine:
        """`trunk` are fields of SIPOutboundTrunkInfo; `address` is the callee's own unless given."""
        callee = Callee(await SipSocket.open())
        line = cls(access, access.client(), callee, f"out-{secrets.token_hex(6)}", opened=[callee.socket])
        info = SIPOutboundTrunkInfo(
            **{"name": "test", "address": address or callee.address, "numbers": [OWN], "transport": 1, **trunk}
        )
        created = await line.lk.sip.create_sip_outbound_trunk(CreateSIPOutboundTrunkRequest(trunk=info))
        line.trunk_id = created.sip_trunk_id
        return line

    async def agent(self, hertz: float = 0.0) -> RoomAgent:
        agent = await self.access.agent(self.room, hertz)
        self.opened.append(agent)
        self.agents.append(agent)
        return agent

    async def media(self) -> CallerMedia:
        media = await CallerMedia.open()
        self.opened.append(media)
        return media

    def dial(self, ringing_s: float = 0, max_call_s: float = 0, **fields: Any) -> asyncio.Task[SIPParticipantInfo]:
        """Start a call; the task ends with the API's answer. `fields` are those of CreateSIPParticipantRequest."""
        if ringing_s:
            fields["ringing_timeout"] = duration(ringing_s)
        if max_call_s:
            fields["max_call_duration"] = duration(max_call_s)
        values = {"sip_trunk_id": self.trunk_id, "sip_call_to": CALLED, "room_name": self.room, **fields}
        task = asyncio.create_task(self._dial(CreateSIPParticipantRequest(**values)))
        self.dialling.append(task)
        return task

    async def _dial(self, request: CreateSIPParticipantRequest) -> SIPParticipantInfo:
        return await self.lk.sip.create_sip_participant(request, timeout=40.0)

    async def talk(self, hertz: float = 700.0, **fields: Any) -> Talk:
        """An answered call: an agent speaks in the room, the callee plays 440 Hz."""
        agent, media = await self.agent(hertz=hertz), await self.media()
        dialled = self.dial(wait_until_answered=True, **fields)
        invite = await self.callee.rings()
        media.send_to(invite.body)
        self.callee.respond(invite, 180, "Ringing")
        await agent.see("status", "ringing")
        self.callee.answer(media.port)
        media.start_tone(440)
        answer = await dialled
        await agent.see("status", "active")
        return Talk(agent, media, invite, answer.participant_identity)

    async def transfer(self, identity: str, target: str, ringing_s: float = 0, **fields: Any) -> None:
        await transfer(self.lk, self.room, identity, target, ringing_s, **fields)

    async def participants(self) -> list[str]:
        """Identities in the line's room."""
        return await participants(self.lk, self.room)

    async def delete_room(self) -> None:
        await delete_room(self.lk, self.room)

    async def close(self) -> None:
        """End what is left of the test and remove the trunk."""
        await self.delete_room()
        if {"ACK"} <= set(self.callee.requests()) and "BYE" not in self.callee.requests():
            # A bridge whose BYE meets silence would hold the call, and its own stop, for 32 seconds.
            with contextlib.suppress(TimeoutError):
                await self.callee.request("BYE", timeout=3.0)
        for task in self.dialling:
            task.cancel()
        await asyncio.gather(*self.dialling, return_exceptions=True)
        for thing in self.opened:
            if isinstance(thing, RoomAgent):
                await thing.leave()
            else:
                thing.close()
        await self.lk.sip.delete_sip_trunk(DeleteSIPTrunkRequest(sip_trunk_id=self.trunk_id))
        await self.lk.aclose()


async def transfer(
    lk: api.LiveKitAPI, room: str, identity: str, target: str, ringing_s: float = 0, **fields: Any
) -> None:
    """Ask LiveKit to transfer a SIP participant. Raises api.TwirpError."""
    if ringing_s:
        fields["ringing_timeout"] = duration(ringing_s)
    request = TransferSIPParticipantRequest(room_name=room, participant_identity=identity, transfer_to=target, **fields)
    await lk.sip.transfer_sip_participant(request)


async def failure(work: Awaitable[object]) -> tuple[str, str, str, str]:
    """What the API's client sees of a failed request: code, message (LiveKit's server puts "twirp error unknown: " before
    the bridge's words), and the SIP status in the metadata ("" without one)."""
    try:
        await work
    except api.TwirpError as error:
        words = error.message.removeprefix("twirp error unknown: ")
        return error.code, words, error.metadata.get("sip_status_code", ""), error.metadata.get("sip_status", "")
    raise AssertionError("the request did not fail")


OpenOutbound = Callable[..., Awaitable[OutboundLine]]
