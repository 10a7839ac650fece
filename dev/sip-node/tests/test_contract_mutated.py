"""Seeded nonsense of every kind of message, 300 of them; SIP_MUTATIONS=2000 is the full form, SIP_SEED another choice.

livekit-sip 1.10.0 answers some of it with 400, some with 405, most not at all, and takes the next call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from dataclasses import dataclass

import pytest
from fleet.prove import Tried
from livekit import api
from livekit.protocol.room import RoomConfiguration
from sip_node.testing.bridge import Bridge, Line, OpenLine
from sip_node.testing.media import CallerMedia
from sip_node.testing.mutate import mutate, udp_ports
from sip_node.testing.outbound import OpenOutbound, OutboundLine
from sip_node.testing.record import Observation
from sip_node.testing.uac import Caller, SipMessage, SipSocket, response_to, sdp_offer
from sip_node.testing.uas import NOTIFY_HEADERS, Callee, sipfrag

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

COUNT = int(os.environ.get("SIP_MUTATIONS", "300"))
FULL = 2000
SEED = int(os.environ.get("SIP_SEED", "4711"))
ROUND = 50
OFFER = sdp_offer("127.0.0.1", 9)
KINDS = ("INVITE",) * 6 + ("BYE", "ACK", "CANCEL", "OPTIONS", "NOTIFY")
IN_DIALOG = ("INVITE", "INVITE", "ACK", "CANCEL", "OPTIONS", "NOTIFY", "BYE")
ANSWERS = ((100, "Trying"), (180, "Ringing"), (183, "Session Progress"), (407, "Auth"), (200, "OK"), (486, "Busy Here"))


@dataclass
class Stage:
    """Where the nonsense goes: a number whose calls get rooms, one whose calls are dropped, and a trunk to a callee."""

    rng: random.Random
    line: Line
    dropped: Line
    outbound: OutboundLine
    socket: SipSocket
    sent: Counter[str]

    def send(self, kind: str, text: str, destination: tuple[str, int], through: SipSocket | None = None) -> None:
        (through or self.socket).send(mutate(text.encode(), self.rng), destination)
        self.sent[kind] += 1

    def stray(self) -> None:
        """A request that belongs to nothing, or starts a call (mostly one that is dropped: few rooms are made)."""
        rng = self.rng
        number = self.line.number if rng.random() < 0.1 else self.dropped.number
        caller = Caller(
            self.socket, self.line.sip, number, call_id=f"{rng.getrandbits(64):x}", from_tag=f"{rng.getrandbits(32):x}"
        )
        method = rng.choice(KINDS)
        if method in ("BYE", "ACK", "NOTIFY"):
            caller.to_tag = "SCL_" + f"{rng.getrandbits(48):x}"
        text = caller.request(method, OFFER if method == "INVITE" else "", branch=f"z9hG4bK{rng.getrandbits(64):x}")
        self.send(method, text, self.line.sip)

    def within(self, caller: Caller, media: CallerMedia) -> None:
        """A request within an answered call."""
        method = self.rng.choice(IN_DIALOG)
        caller.cseq += 1
        body = sdp_offer("127.0.0.1", media.port) if method == "INVITE" else ""
        headers = NOTIFY_HEADERS if method == "NOTIFY" else ()
        self.send(
            f"{method} within a call", caller.request(method, body, headers=headers), caller.server, caller.socket
        )

    def answer(self, callee: Callee, request: SipMessage) -> None:
        """An answer to what the bridge asked the callee."""
        code, phrase = self.rng.choice(ANSWERS) if request.method == "INVITE" else (202, "Accepted")
        ip, port = callee.socket.address
        text = response_to(request, code, phrase).removesuffix("Content-Length: 0\r\n\r\n")
        if code > 100 and not request.to_tag:
            text = text.replace(f"To: {request.one('to')}", f"To: {request.one('to')};tag={callee.tag}")
        body = OFFER if request.method == "INVITE" and code in (183, 200) else ""
        text += f"Contact: <sip:callee@{ip}:{port}>\r\nContent-Type: application/sdp\r\n"
        text += f"Content-Length: {len(body)}\r\n\r\n{body}"
        self.send(f"{code // 100}xx to {request.method}", text, request.source, callee.socket)


async def within_a_call(stage: Stage, count: int) -> None:
    try:
        caller, media = await stage.line.call(user=f"1666{stage.rng.randrange(10**7):07d}")
    except TimeoutError as error:
        there = await stage.line.participants()
        error.add_note(
            f"after {stage.sent.total()} messages; {len(there)} in the room, agent there: {'agent' in there}"
        )
        raise
    for _ in range(count):
        stage.within(caller, media)
        await asyncio.sleep(0.005)
    caller.socket.answer_requests = True
    await end_call(caller)
    media.stop()


async def end_call(caller: Caller) -> None:
    """Whatever the nonsense did to the call: a BYE that is understood ends it."""
    caller.cseq += 1
    caller.send(caller.request("BYE"))
    with contextlib.suppress(TimeoutError):
        await caller.response(200, 699, method="BYE", timeout=3.0)


async def out_of_a_call(stage: Stage, count: int) -> None:
    """A call out whose callee answers nonsense, to its INVITE and then, were it answered, to REFER and with NOTIFY."""
    line, since = stage.outbound, len(stage.outbound.callee.socket.received)
    dialled = line.dial(ringing_s=0.6, max_call_s=4.0, participant_identity=f"callee-{stage.rng.getrandbits(40):x}")
    invite = await line.callee.rings(since=since)
    nonsense = count if stage.rng.random() < 0.3 else count // 2
    for _ in range(nonsense):
        stage.answer(line.callee, invite)
    if nonsense < count:
        line.callee.tag = f"{stage.rng.getrandbits(32):x}"
        line.callee.answer()
        identity = (await dialled).participant_identity
        await asyncio.sleep(0.2)
        transfer = asyncio.create_task(line.transfer(identity, "tel:+15550009999", ringing_s=1.0))
        with contextlib.suppress(TimeoutError):
            refer = await line.callee.request("REFER", timeout=1.0, since=since)
            for _ in range(2):
                stage.answer(line.callee, refer)
            line.callee.respond(refer, 202, "Accepted")
        for _ in range(count - nonsense - 2):
            method = stage.rng.choice(("NOTIFY", "NOTIFY", "INVITE", "BYE"))
            body = sipfrag(stage.rng.choice(("100 Trying", "486 Busy Here"))) if method == "NOTIFY" else OFFER
            text = line.callee.text(method, body, NOTIFY_HEADERS if method == "NOTIFY" else ())
            stage.send(f"{method} within a call", text, invite.source, line.callee.socket)
        await asyncio.gather(transfer, return_exceptions=True)
        line.callee.send("BYE")
    await asyncio.gather(dialled, return_exceptions=True)


async def settled(bridge: Bridge, *lines: Line | OutboundLine) -> None:
    """Until the nonsense calls are over."""
    async with asyncio.timeout(45):
        for line in lines:
            while [who for who in await line.participants() if who not in ("agent",)]:
                await asyncio.sleep(0.05)
        while not bridge.real and (await bridge.gauges())["calls"]:
            await asyncio.sleep(0.05)


async def same_tasks(before: int) -> None:
    """Until this process has no more tasks than before: an agent that goes on listening to callers who left takes, call
    by call, all of its time."""
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > before:
            await asyncio.sleep(0.1)


async def no_transactions(bridge: Bridge) -> None:
    """Until the node has forgotten the last of its transactions; that takes 64 * T1 (RFC 3261 timers J, L), 32 s."""
    async with asyncio.timeout(50):
        while (await bridge.gauges())["transactions"]:
            await asyncio.sleep(0.5)


async def same_ports(pid: int, before: set[int]) -> None:
    """Until the process has no UDP port open that it had not before: media, WebRTC, anything."""
    left: set[int] = set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while left := udp_ports(pid) - before:
                await asyncio.sleep(0.1)
    assert not left


async def no_rooms(line: Line) -> None:
    async with asyncio.timeout(30):
        while True:
            rooms = await line.lk.room.list_rooms(api.ListRoomsRequest())
            if not [room for room in rooms.rooms if room.name.startswith(line.room)]:
                return
            await asyncio.sleep(0.2)


async def test_mutated_messages_leave_nothing_behind(
    bridge: Bridge, open_line: OpenLine, open_outbound: OpenOutbound, observed: Observation, record_property: Tried
) -> None:
    """The next call is answered and heard; no call, UDP port, room, stream or task is left that was not there before."""
    observed.brief = True
    short = RoomConfiguration(empty_timeout=1, departure_timeout=1)
    line = await open_line(bridge, ringing_s=0.5, each_its_room=True, room_config=short)
    talking = await open_line(bridge)
    dropped, good = await open_line(bridge, rule=False), await open_line(bridge)
    outbound = await open_outbound(bridge)
    await talking.agent(hertz=700)
    pid = bridge.host.supervisor.pid_of(bridge.name)
    await settled(bridge, line)
    before, ports = await bridge.holds(), udp_ports(pid)
    own, began, rounds = len(asyncio.all_tasks()), time.monotonic(), 0
    socket = await SipSocket.open()
    stage = Stage(random.Random(), line, dropped, outbound, socket, Counter())
    conversation = Stage(stage.rng, talking, dropped, outbound, socket, stage.sent)
    try:
        while stage.sent.total() < COUNT:
            # How much of a round is random depends on what is answered in time: the next one begins alike all the same.
            stage.rng.seed(f"{SEED}/{rounds}")
            rounds += 1
            await within_a_call(conversation, 14)
            await out_of_a_call(stage, 12)
            for _ in range(min(ROUND - 26, COUNT - stage.sent.total())):
                stage.stray()
            await settled(bridge, line, talking, outbound)
    finally:
        socket.close()
        took = time.monotonic() - began
        print(f"seed {SEED}: {stage.sent.total()} mutated messages in {rounds} rounds, {took:.0f} s, {stage.sent}")
    await same_tasks(own)
    agent = await good.agent(hertz=700)
    caller, media = await good.call()
    await agent.see("status", "active")
    await media.wait_packets(50)
    assert (await caller.hang_up()).status == 200
    await agent.see("left")
    await settled(bridge, good)
    await same_ports(pid, ports)
    await no_rooms(line)
    observed.note("afterwards", ["the next call is heard", "no UDP port left", "no room left"])
    await bridge.gave_back(before)
    record_property("messages", stage.sent.total())
    if COUNT >= FULL and not bridge.real:
        await no_transactions(bridge)
