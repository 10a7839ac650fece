"""REFER on either kind of call. Each docstring says what livekit-sip 1.10.0 was seen to do; the node does the same."""

from __future__ import annotations

import asyncio

import pytest
from sip_node.testing.bridge import Bridge, Line, OpenLine
from sip_node.testing.outbound import OpenOutbound, OutboundLine, Talk, failure, transfer
from sip_node.testing.record import Observation
from sip_node.testing.uac import Caller, SipMessage, response_to
from sip_node.testing.uas import NOTIFY_HEADERS, sipfrag

pytestmark = pytest.mark.integration

TARGET = "tel:+15550009999"


async def referred(line: OutboundLine, talk: Talk, **fields: object) -> tuple[asyncio.Task[None], SipMessage]:
    """A transfer under way and its REFER."""
    known = {item.one("cseq") for item in line.callee.socket.received}  # a REFER may come twice on a busy machine
    task = asyncio.create_task(line.transfer(talk.identity, TARGET, **fields))  # type: ignore[arg-type]
    refer = await line.callee.socket.wait_for(
        lambda item: item.start.startswith("REFER ") and item.one("cseq") not in known, 10.0
    )
    return task, refer


async def notify(line: OutboundLine, status: str) -> str:
    """The start line of the answer to a NOTIFY with this status."""
    line.callee.send("NOTIFY", sipfrag(status), NOTIFY_HEADERS)
    return (await line.callee.response("NOTIFY")).start


async def test_outbound_call_is_transferred(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """REFER with Refer-To and headers, NOTIFYs answered 200, the API answers at "200 OK", BYE a second later, hangup."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    task, refer = await referred(line, talk, headers={"X-T": "1"})
    assert refer.start == f"REFER sip:callee@{line.callee.address} SIP/2.0"
    assert (refer.one("refer-to"), refer.one("x-t"), refer.one("cseq")) == (TARGET, "1", "2 REFER")
    line.callee.respond(refer, 202, "Accepted")
    assert await notify(line, "100 Trying") == "SIP/2.0 200 success"
    assert not task.done()
    assert await notify(line, "200 OK") == "SIP/2.0 200 success"
    await task
    done = asyncio.get_running_loop().time()
    bye = await line.callee.request("BYE")
    assert 0.7 < bye.at - done < 1.6
    assert bye.one("cseq") == "3 BYE"
    await talk.agent.see("left")
    assert [value for kind, value in talk.agent.events if kind == "status"][-1] == "hangup"


async def test_dialtone_while_transferring(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """play_dialtone: the far side hears 425 Hz instead of the room; the room again when the transfer fails."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    await talk.media.wait_packets(50)
    task, refer = await referred(line, talk, play_dialtone=True)
    line.callee.respond(refer, 202, "Accepted")
    await talk.media.until_tone(425, 30)
    await notify(line, "486 Busy Here")
    assert (await failure(task))[0] == "resource_exhausted"
    await talk.media.until_tone(700, 30)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("486 Busy Here", "resource_exhausted"),
        ("603 Decline", "permission_denied"),
        ("480 Temporarily Unavailable", "resource_exhausted"),
        ("503 Service Unavailable", "failed_precondition"),
    ],
    ids=["486", "603", "480", "503"],
)
async def test_target_does_not_answer(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation, status: str, error: str
) -> None:
    """The status in the NOTIFY is the API's error with its metadata; the call goes on and can be transferred again."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    task, refer = await referred(line, talk)
    line.callee.respond(refer, 202, "Accepted")
    assert await notify(line, status) == "SIP/2.0 200 success"
    seen = await failure(task)
    observed.note("api", seen)
    code, _, phrase = status.partition(" ")
    assert seen == (error, f"call transfer failed: sip status: {status.replace(' ', ': ', 1)}", code, phrase)
    again, refer = await referred(line, talk)
    line.callee.respond(refer, 202, "Accepted")
    await notify(line, "200 OK")
    await again


@pytest.mark.parametrize(
    ("code", "phrase", "error"),
    [
        (603, "Decline", "permission_denied"),
        (405, "Method Not Allowed", "invalid_argument"),
        (503, "Nope", "failed_precondition"),
    ],
    ids=["603", "405", "503"],
)
async def test_refused_refer(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation, code: int, phrase: str, error: str
) -> None:
    """The answer to the REFER is the API's error; the call goes on."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    task, refer = await referred(line, talk)
    line.callee.respond(refer, code, phrase)
    seen = await failure(task)
    observed.note("api", seen)
    assert seen == (error, f"sip status: {code}: {phrase}", str(code), phrase)
    count = len(talk.media.packets)
    await talk.media.wait_packets(count + 70)
    assert "BYE" not in line.callee.requests()


async def test_nothing_is_said_of_the_transfer(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """Accepted, then silence: an error when ringing_timeout is over (two clocks race: "canceled" or "deadline_exceeded");
    the call goes on."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    task, refer = await referred(line, talk, ringing_s=1.5)
    line.callee.respond(refer, 202, "Accepted")
    code, _, status, _ = await failure(task)
    assert code in ("canceled", "deadline_exceeded")
    assert status == ""
    count = len(talk.media.packets)
    await talk.media.wait_packets(count + 70)
    assert "BYE" not in line.callee.requests()


async def test_far_side_hangs_up_while_transferring(bridge: Bridge, open_outbound: OpenOutbound) -> None:
    """An accepted REFER and then a BYE is a success."""
    line = await open_outbound(bridge)
    talk = await line.talk()
    task, refer = await referred(line, talk)
    line.callee.respond(refer, 202, "Accepted")
    await notify(line, "100 Trying")
    assert (await line.callee.hang_up()).status == 200
    await task


async def test_who_is_not_there_cannot_be_transferred(
    bridge: Bridge, open_outbound: OpenOutbound, observed: Observation
) -> None:
    """not_found for a participant that isn't in the room; while a callee rings the transfer waits, until its own
    ringing_timeout is over."""
    line = await open_outbound(bridge)
    await line.agent()
    seen = await failure(line.transfer("nobody", TARGET))
    observed.note("nobody", seen)
    assert seen == ("not_found", "participant does not exist", "", "")
    info = await line.dial()
    await line.callee.rings()
    ringing = await failure(line.transfer(info.participant_identity, TARGET, ringing_s=1.5))
    assert ringing[0] in ("canceled", "deadline_exceeded")
    assert "REFER" not in line.callee.requests()


@pytest.mark.parametrize(
    ("body", "headers", "answer"),
    [
        ("junk", NOTIFY_HEADERS, "400 invalid notify body: not enough tokens"),
        ("HTTP/1.1 200 OK", NOTIFY_HEADERS, "400 invalid notify body: wrong prefix or SIP version"),
        ("SIP/2.0 200 OK", (), "400 no event in NOTIFY request"),
        ("SIP/2.0 200 OK", ("Event: message-summary",), "501 unknown event"),
        ("SIP/2.0 100 Trying", NOTIFY_HEADERS, "200 success"),
    ],
    ids=["junk", "another protocol", "no event", "another event", "provisional"],
)
async def test_notify_without_a_refer(
    bridge: Bridge, open_outbound: OpenOutbound, body: str, headers: tuple[str, ...], answer: str
) -> None:
    """What can't be read gets 400 with the reason, another event 501; a provisional status 200."""
    line = await open_outbound(bridge)
    await line.talk()
    line.callee.send("NOTIFY", body, headers)
    assert (await line.callee.response("NOTIFY")).start == f"SIP/2.0 {answer}"


async def told_by_caller(caller: Caller, refer: SipMessage, status: str) -> SipMessage:
    """A caller's NOTIFY that names the REFER, and its answer."""
    body = sipfrag(status)
    caller.cseq += 1
    number = refer.one("cseq").split()[0]
    text = caller.request("NOTIFY", headers=(f"Event: refer;id={number}", "Content-Type: message/sipfrag"))
    caller.send(text.replace("Content-Length: 0", f"Content-Length: {len(body)}") + body)
    return await caller.response(200, 699, method="NOTIFY")


async def inbound_refer(line: Line, **fields: object) -> tuple[Caller, asyncio.Task[None], SipMessage]:
    """A call in, a transfer of it under way, and its REFER."""
    agent = await line.agent(hertz=700)
    caller, _ = await line.call()
    await agent.see("status", "active")
    work = transfer(line.lk, line.room, f"sip_{caller.user}", TARGET, **fields)  # type: ignore[arg-type]
    task = asyncio.create_task(work)
    refer = await caller.socket.wait_for(lambda item: item.start.startswith("REFER "), 5)
    caller.socket.send(response_to(refer, 202, "Accepted"), refer.source)
    return caller, task, refer


async def test_inbound_call_is_transferred(bridge: Bridge, open_line: OpenLine) -> None:
    """REFER with tags swapped to the caller's Contact; BYE a second after "200 OK", status hangup."""
    line = await open_line(bridge)
    caller, task, refer = await inbound_refer(line, headers={"X-T": "1"})
    assert refer.start == f"REFER sip:{caller.user}@127.0.0.1:{caller.socket.address[1]} SIP/2.0"
    assert f"tag={caller.from_tag}" in refer.one("to")
    assert f"tag={caller.to_tag}" in refer.one("from")
    assert (refer.one("refer-to"), refer.one("x-t"), refer.one("cseq")) == (TARGET, "1", "2 REFER")
    assert (await told_by_caller(caller, refer, "200 OK")).start == "SIP/2.0 200 success"
    await task
    bye = await caller.bye_from_server()
    assert bye.one("cseq") == "3 BYE"
    await line.agents[0].see("status", "hangup")


async def test_transferred_caller_hangs_up_first(bridge: Bridge, open_line: OpenLine) -> None:
    """A caller who hangs up within the second gets 200 and no BYE."""
    line = await open_line(bridge)
    caller, task, refer = await inbound_refer(line)
    await told_by_caller(caller, refer, "200 OK")
    await task
    assert (await caller.hang_up()).status == 200
    await line.agents[0].see("left")
    await asyncio.sleep(1.3)
    assert not [item for item in caller.heard if item.start.startswith("BYE")]


async def test_inbound_target_is_busy(bridge: Bridge, open_line: OpenLine, observed: Observation) -> None:
    """The API's error carries 486; the call goes on."""
    line = await open_line(bridge)
    caller, task, refer = await inbound_refer(line)
    await told_by_caller(caller, refer, "486 Busy Here")
    seen = await failure(task)
    observed.note("api", seen)
    assert seen == ("resource_exhausted", "call transfer failed: sip status: 486: Busy Here", "486", "Busy Here")
    await asyncio.sleep(1.3)
    assert (await caller.hang_up()).status == 200
