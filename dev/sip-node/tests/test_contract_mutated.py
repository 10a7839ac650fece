"""Seeded nonsense on the SIP port; SIP_MUTATIONS sets how much of it (200).

livekit-sip 1.10.0 answers some of it with 400, some with 405, most not at all, and takes the next call.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from sip_node.testing.bridge import Bridge, Line, OpenLine
from sip_node.testing.uac import Caller, SipSocket, sdp_offer

pytestmark = pytest.mark.integration

COUNT = int(os.environ.get("SIP_MUTATIONS", "200"))
BATCH = 70
OFFER = sdp_offer("127.0.0.1", 9)
SPLICES = (
    b"\r\n",
    b"\x00",
    b"\xff\xfe",
    b"%s%n",
    b";tag=",
    b'"',
    b"<",
    b">",
    b"@",
    b"99999999999",
    b"-1",
    b"\r\n ",
    b"a" * 3000,
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four changes: bytes flipped, cut, doubled, replaced by awkward pieces, lines dropped, doubled or swapped."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(max(1, len(data)))
        kind = rng.randrange(7)
        if kind == 0:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at]
        elif kind == 2:
            data = data[:at] + rng.choice(SPLICES) + data[at:]
        elif kind == 3:
            data = data[:at] + data[at + rng.randint(1, 40) :]
        else:
            lines = data.split(b"\r\n")
            index = rng.randrange(len(lines))
            if kind == 4:
                del lines[index]
            elif kind == 5:
                lines.insert(rng.randrange(len(lines)), lines[index])
            else:
                name, _, _ = lines[index].partition(b":")
                lines[index] = name + b": " + bytes(rng.randrange(256) for _ in range(rng.randrange(30)))
            data = b"\r\n".join(lines)
    return data


def message(line: Line, dropped: Line, socket: SipSocket, rng: random.Random) -> bytes:
    """A mutated INVITE (mostly to a number whose calls are dropped, so that few rooms are made) or other request."""
    number = line.number if rng.random() < 0.1 else dropped.number
    caller = Caller(socket, line.sip, number, call_id=f"{rng.getrandbits(64):x}", from_tag=f"{rng.getrandbits(32):x}")
    method = rng.choice(("INVITE",) * 6 + ("BYE", "ACK", "CANCEL", "OPTIONS"))
    if method in ("BYE", "ACK"):
        caller.to_tag = "SCL_" + f"{rng.getrandbits(48):x}"
    branch = f"z9hG4bK{rng.getrandbits(64):x}"
    text = caller.request(method, OFFER if method == "INVITE" else "", branch=branch)
    return mutate(text.encode(), rng)


async def settled(bridge: Bridge, line: Line) -> None:
    """Until the nonsense calls are over."""
    await line.empty(timeout=30)
    if not bridge.real:
        async with asyncio.timeout(30):
            while (await bridge.gauges())["calls"]:
                await asyncio.sleep(0.05)


async def test_mutated_messages_leave_nothing_behind(bridge: Bridge, open_line: OpenLine) -> None:
    """The next call is answered and heard, and the node has no call, port, stream or task left that it had not before."""
    rng = random.Random(4711)
    line, dropped = await open_line(bridge, ringing_s=0.5, each_its_room=True), await open_line(bridge, rule=False)
    good = await open_line(bridge)
    await settled(bridge, line)
    before = {} if bridge.real else await bridge.gauges()
    socket = await SipSocket.open()
    try:
        for start in range(0, COUNT, BATCH):
            for _ in range(min(BATCH, COUNT - start)):
                socket.send(message(line, dropped, socket, rng)[:60000], bridge.sip)
            await settled(bridge, line)
    finally:
        socket.close()
    agent = await good.agent(hertz=700)
    caller, media = await good.call()
    await agent.see("status", "active")
    await media.wait_packets(50)
    assert (await caller.hang_up()).status == 200
    await agent.see("left")
    if before:
        await settled(bridge, good)
        after = await bridge.gauges()
        kept = ("calls", "ports", "streams", "tasks")
        assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
