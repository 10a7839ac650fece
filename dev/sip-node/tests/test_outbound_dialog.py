"""A call out without a socket: INVITE, credentials, CANCEL, what is never repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest
from sip_node.sip.dialog import LocalIdentity
from sip_node.sip.endpoint import Endpoint
from sip_node.sip.message import Request, Response, parse_message
from sip_node.sip.outbound_dialog import Dialled, InviteError, OutboundDialog
from sip_node.sip.transaction import ServerTransaction, Timers

pytestmark = pytest.mark.unit

FAR = ("192.0.2.7", 5062)
FAST = Timers(t1=0.01, t2=0.02)
LOCAL = LocalIdentity("127.0.0.1", 5060, 1.0)
DIALLED = Dialled("sip:1@192.0.2.7:5062", '"2" <sip:2@127.0.0.1>', "<sip:1@192.0.2.7:5062>", FAR, "bob", "s3cret")


class Far:
    """An endpoint whose transport is the far side: `answer` is asked for the answers to each request sent."""

    def __init__(self, answer: Callable[[Request], list[bytes]] = lambda _: []) -> None:
        self.sent: list[Request] = []
        self._answer = answer
        self.endpoint = Endpoint(self, FAST)
        self.endpoint.connection_made(self)  # type: ignore[arg-type]
        self.dialog = OutboundDialog(self.endpoint, LOCAL, "SCL_1", random.Random(1))
        self.dialog.dial(DIALLED)
        self.heard: list[int] = []
        self.cancelled = asyncio.Event()

    def sendto(self, data: bytes, destination: tuple[str, int]) -> None:
        message = parse_message(data, ("127.0.0.1", 5060))
        assert isinstance(message, Request)
        self.sent.append(message)
        for answer in self._answer(message):
            asyncio.get_running_loop().call_soon(self.endpoint.datagram_received, answer, FAR)

    def is_closing(self) -> bool:
        return False

    def on_request(self, request: Request, transaction: ServerTransaction) -> None:
        raise AssertionError("nobody calls us")

    def on_ack(self, request: Request) -> None:
        raise AssertionError("nobody calls us")

    @property
    def methods(self) -> list[str]:
        return [item.method for item in self.sent]

    async def invite(self) -> Response:
        return await self.dialog.invite(b"v=0", {"X-A": "1"}, lambda item: self.heard.append(item.code), self.cancelled)


def reply(request: Request, code: int, phrase: str, *headers: str) -> bytes:
    lines = [f"SIP/2.0 {code} {phrase}", f"Via: {request.header('via')}", f"From: {request.header('from')}"]
    tag = ";tag=far" if code > 100 and ";tag=" not in request.header("to") else ""
    lines += [f"To: {request.header('to')}{tag}", f"Call-ID: {request.call_id}", f"CSeq: {request.header('cseq')}"]
    lines += ["Contact: <sip:there@192.0.2.9:5070>", *headers, "Content-Length: 0"]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_answered_acknowledged_and_hung_up_at_the_contact() -> None:
    def answer(request: Request) -> list[bytes]:
        if request.method == "INVITE":
            return [reply(request, 100, "Trying"), reply(request, 180, "Ringing"), reply(request, 200, "OK")]
        return [reply(request, 200, "OK")] if request.method == "BYE" else []

    far = Far(answer)
    assert (await far.invite()).code == 200
    assert far.heard == [100, 180]
    far.dialog.acknowledge()
    assert await far.dialog.bye({"X-B": "2"}) == 200
    assert far.methods == ["INVITE", "ACK", "BYE"]
    invite, ack, bye = far.sent
    assert (ack.uri, ack.header("cseq")) == ("sip:there@192.0.2.9:5070", "1 ACK")
    assert ack.vias[0].branch != invite.vias[0].branch
    assert (bye.header("cseq"), bye.to_tag, bye.from_tag) == ("2 BYE", "far", "SCL_1")
    assert (invite.header("x-a"), bye.header("x-b")) == ("1", "2")
    far.dialog.drop()
    assert far.endpoint.open_transactions == 0


async def test_refusal_is_acknowledged_in_its_own_transaction_once() -> None:
    far = Far(lambda request: [reply(request, 486, "Busy Here")] * 2 if request.method == "INVITE" else [])
    with pytest.raises(InviteError) as caught:
        await far.invite()
    far.dialog.drop()
    await asyncio.sleep(0)
    assert caught.value.response is not None
    assert caught.value.response.code == 486
    assert far.methods == ["INVITE", "ACK"]
    assert far.sent[0].vias[0].branch == far.sent[1].vias[0].branch
    assert far.endpoint.open_transactions == 0


async def test_credentials_are_given_when_asked_for_and_five_times_at_most() -> None:
    def answer(request: Request) -> list[bytes]:
        challenge = f'Proxy-Authenticate: Digest realm="r", nonce="n{request.cseq_number}"'
        return [reply(request, 407, "Auth", challenge)] if request.method == "INVITE" else []

    far = Far(answer)
    with pytest.raises(InviteError, match="tries"):
        await far.invite()
    invites = [item for item in far.sent if item.method == "INVITE"]
    assert [item.cseq_number for item in invites] == [1, 2, 3, 4, 5]
    assert [bool(item.header("proxy-authorization")) for item in invites] == [False, True, True, True, True]
    assert len({item.call_id for item in invites}) == 1


async def test_unreadable_challenge() -> None:
    far = Far(
        lambda request: [reply(request, 401, "Auth", "WWW-Authenticate: Basic realm=r")] * (request.method == "INVITE")
    )
    with pytest.raises(InviteError, match="unreadable challenge"):
        await far.invite()


async def test_silence_ends_the_call() -> None:
    far = Far()
    with pytest.raises(InviteError, match="silence") as caught:
        await far.invite()
    assert caught.value.provisionals == 0
    assert len(far.sent) >= 4
    assert set(far.methods) == {"INVITE"}


async def test_cancelled_while_it_rings() -> None:
    def answer(request: Request) -> list[bytes]:
        if request.method == "INVITE":
            return [reply(request, 180, "Ringing")]
        if request.method == "CANCEL":
            # The CANCEL's own answer has the INVITE's branch, and must not be taken for the INVITE's.
            return [reply(request, 200, "OK"), reply(far.sent[0], 487, "Request Terminated")]
        return []

    far = Far(answer)
    task = asyncio.create_task(far.invite())
    while not far.heard:
        await asyncio.sleep(0)
    far.cancelled.set()
    with pytest.raises(InviteError, match="timeout"):
        await task
    far.dialog.drop()  # as the call does when it ends
    while len(far.sent) < 3:
        await asyncio.sleep(0)
    assert far.methods == ["INVITE", "CANCEL", "ACK"]
    assert len({item.vias[0].branch for item in far.sent}) == 1


async def test_answer_that_crosses_the_cancel_is_hung_up() -> None:
    far = Far(lambda request: [reply(request, 200, "OK")] if request.method == "BYE" else [])
    task = asyncio.create_task(far.invite())
    await asyncio.sleep(0)
    far.cancelled.set()
    with pytest.raises(InviteError, match="timeout"):
        await task
    far.dialog.drop()  # as the call does when it ends, long before the far side has answered
    far.endpoint.datagram_received(reply(far.sent[0], 200, "OK"), FAR)
    while "BYE" not in far.methods:
        await asyncio.sleep(0)
    assert [method for method in far.methods if method != "INVITE"] == ["CANCEL", "ACK", "BYE"]


async def test_refer_within_the_call() -> None:
    def answer(request: Request) -> list[bytes]:
        return [reply(request, 202 if request.method == "REFER" else 200, "OK")] if request.method != "ACK" else []

    far = Far(answer)
    await far.invite()
    far.dialog.acknowledge()
    cseq, response = await far.dialog.refer("tel:+1", {"X-T": "1"})
    assert response is not None
    assert (cseq, response.code) == (2, 202)
    refer = far.sent[-1]
    assert (refer.header("refer-to"), refer.header("x-t"), refer.header("cseq")) == ("tel:+1", "1", "2 REFER")
    assert await far.dialog.bye({}) == 200
    assert far.sent[-1].header("cseq") == "3 BYE"
