"""A trunk with a number and a rule of its own on a real LiveKit server, so that tests share one server and one node."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.duration_pb2 import Duration
from livekit import api
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    DeleteSIPDispatchRuleRequest,
    DeleteSIPTrunkRequest,
    SIPDispatchRule,
    SIPDispatchRuleDirect,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
)

from sip_node.testing.agent import RoomAgent
from sip_node.testing.media import CallerMedia
from sip_node.testing.uac import Address, Caller, SipSocket, sdp_offer

HELD = ("calls", "ports", "streams", "tracks", "tasks")


async def http_get(url: str) -> tuple[int, str]:
    """Status and text of a page that either bridge serves."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    return int(head.split()[1]), body


@dataclass(frozen=True)
class LiveKitAccess:
    """How to reach a LiveKit server's API and rooms."""

    url: str
    api_key: str
    api_secret: str

    def client(self) -> api.LiveKitAPI:
        return api.LiveKitAPI(self.url, self.api_key, self.api_secret)

    async def agent(self, room: str, hertz: float, identity: str = "agent") -> RoomAgent:
        """Somebody in the room, speaking a tone unless `hertz` is 0."""
        agent = RoomAgent()
        await agent.join(self.url, self.api_key, self.api_secret, room, identity)
        if hertz:
            await agent.speak(hertz)
        return agent


@dataclass(frozen=True)
class Bridge:
    """A running SIP bridge; `real` says which of the two. `host` is the supervisor that runs it under `name`."""

    name: str
    sip: Address
    health_url: str
    metrics_url: str
    real: bool
    host: Any
    access: LiveKitAccess

    async def health(self) -> tuple[int, str]:
        """Status and text of the health page."""
        return await http_get(self.health_url)

    async def gauges(self) -> dict[str, float]:
        """The node's own counts, by name without prefix; nothing from livekit-sip."""
        _, text = await http_get(self.metrics_url)
        pairs = (line.split() for line in text.splitlines() if line.startswith("sip_node_"))
        return {name.removeprefix("sip_node_"): float(value) for name, value in pairs}

    async def holds(self) -> dict[str, float]:
        """What the node holds for its calls now, by name; nothing from livekit-sip."""
        gauges = await self.gauges()
        return {name: gauges[name] for name in HELD if name in gauges}

    async def gave_back(self, before: dict[str, float], timeout: float = 45.0) -> None:
        """Until the node holds no more than `before`. The last record of a call is sent after it, and the BYE for a 200
        that crossed a CANCEL is repeated for 32 s. Raises AssertionError."""
        now = await self.holds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while more(now, before):
                    await asyncio.sleep(0.05)
                    now = await self.holds()
        if more(now, before):
            raise AssertionError(f"held before: {before}, {timeout:g} s after: {now}")


def more(now: dict[str, float], before: dict[str, float]) -> bool:
    """Whether any count has risen."""
    return any(now[name] > count for name, count in before.items())


@dataclass
class Line:
    """One number with its trunk, its rule and its room; and all that a test opened for it."""

    access: LiveKitAccess
    sip: Address
    number: str
    room: str
    lk: api.LiveKitAPI
    trunk_id: str = ""
    rule_id: str = ""
    opened: list[Any] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)
    agents: list[RoomAgent] = field(default_factory=list)

    @classmethod
    async def open(
        cls,
        access: LiveKitAccess,
        sip: Address,
        *,
        rule: bool = True,
        each_its_room: bool = False,
        rule_target: SIPDispatchRule | None = None,
        trunk: dict[str, Any] | None = None,
        ringing_s: float = 0,
        max_call_s: float = 0,
        **rule_fields: Any,
    ) -> Line:
        """`trunk` are fields of SIPInboundTrunkInfo, `rule_fields` those of SIPDispatchRuleInfo; `rule=False` makes none."""
        rng = random.SystemRandom()
        line = cls(access, sip, f"1888{rng.randrange(10**7):07d}", f"room-{secrets.token_hex(6)}", access.client())
        fields = {"numbers": [line.number], "name": "test", **(trunk or {})}
        if ringing_s:
            fields["ringing_timeout"] = Duration(nanos=int(ringing_s * 1e9) % 10**9, seconds=int(ringing_s))
        if max_call_s:
            fields["max_call_duration"] = Duration(nanos=int(max_call_s * 1e9) % 10**9, seconds=int(max_call_s))
        created = await line.lk.sip.create_sip_inbound_trunk(
            CreateSIPInboundTrunkRequest(trunk=SIPInboundTrunkInfo(**fields))
        )
        line.trunk_id = created.sip_trunk_id
        if rule:
            target = SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name=line.room))
            if each_its_room:
                single = SIPDispatchRuleIndividual(room_prefix=line.room)
                target = SIPDispatchRule(dispatch_rule_individual=single)
            target = rule_target or target
            info = SIPDispatchRuleInfo(**{"rule": target, "trunk_ids": [line.trunk_id], **rule_fields})
            made = await line.lk.sip.create_sip_dispatch_rule(CreateSIPDispatchRuleRequest(dispatch_rule=info))
            line.rule_id = made.sip_dispatch_rule_id
        return line

    async def close(self) -> None:
        """End what is left of the test and remove trunk and rule."""
        await self.delete_room()
        for caller in self.callers:
            # A bridge whose BYE meets silence would hold the call, and its own stop, for 32 seconds.
            if caller.connected:
                with contextlib.suppress(TimeoutError):
                    await caller.bye_from_server(timeout=5.0)
        for thing in self.opened:
            if isinstance(thing, RoomAgent):
                await thing.leave()
            else:
                thing.close()
        if self.rule_id:
            await self.lk.sip.delete_sip_dispatch_rule(DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=self.rule_id))
        await self.lk.sip.delete_sip_trunk(DeleteSIPTrunkRequest(sip_trunk_id=self.trunk_id))
        await self.lk.aclose()

    async def delete_room(self) -> None:
        """Delete the room; one that isn't there is fine."""
        await delete_room(self.lk, self.room)

    async def agent(self, hertz: float = 0.0, identity: str = "agent") -> RoomAgent:
        """Somebody in the line's room, speaking a tone if one is given."""
        agent = await self.access.agent(self.room, hertz, identity)
        self.opened.append(agent)
        self.agents.append(agent)
        return agent

    async def caller(self, **fields: Any) -> Caller:
        """A caller on a port of its own (at `socket_ip`), for this line's number."""
        socket = await SipSocket.open(fields.pop("socket_ip", "127.0.0.1"))
        self.opened.append(socket)
        caller = Caller(socket, self.sip, fields.pop("number", self.number), **fields)
        self.callers.append(caller)
        return caller

    async def media(self) -> CallerMedia:
        media = await CallerMedia.open()
        self.opened.append(media)
        return media

    async def call(self, hertz: float = 440.0, **fields: Any) -> tuple[Caller, CallerMedia]:
        """An answered, acknowledged call whose caller plays a tone."""
        caller, media = await self.caller(**fields), await self.media()
        caller.invite(sdp_offer("127.0.0.1", media.port))
        answer = await caller.answered()
        if answer.status != 200:
            raise AssertionError(f"not answered: {answer.start}")
        media.send_to(answer.body)
        media.start_tone(hertz)
        return caller, media

    async def empty(self, timeout: float = 3.0) -> None:
        """Until nobody is in the room. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            while await self.participants():  # noqa: ASYNC110 - the server tells nobody outside the room
                await asyncio.sleep(0.05)

    async def participants(self) -> list[str]:
        """Identities in the line's room or rooms; empty also when there is none."""
        return await participants(self.lk, self.room)


async def participants(lk: api.LiveKitAPI, prefix: str) -> list[str]:
    """Identities in the rooms whose name starts with `prefix`."""
    rooms = await lk.room.list_rooms(api.ListRoomsRequest())
    identities: list[str] = []
    for room in rooms.rooms:
        if not room.name.startswith(prefix):
            continue
        try:
            listed = await lk.room.list_participants(api.ListParticipantsRequest(room=room.name))
        except api.TwirpError:
            continue
        identities += [participant.identity for participant in listed.participants]
    return identities


async def delete_room(lk: api.LiveKitAPI, room: str) -> None:
    """Delete the room; one that isn't there is fine."""
    try:
        await lk.room.delete_room(api.DeleteRoomRequest(room=room))
    except api.TwirpError as error:
        if error.code != "not_found":
            raise


OpenLine = Callable[..., Awaitable[Line]]
